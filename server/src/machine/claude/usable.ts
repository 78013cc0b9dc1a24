import { join } from 'node:path';
import { readJson } from '../../domain/json/read.ts';
import type { UsablePlugin } from '../../domain/use.ts';
import { componentsOf } from '../../domain/version/components.ts';
import { MANIFEST_PATH } from '../../domain/version/file-types.ts';
import { parseFrontMatter } from '../../domain/version/front-matter.ts';
import { readFileOrNull } from '../files/file-port.ts';
import type { Machine } from '../machine.ts';
import type { Receipt, Receipts } from '../receipts/index.ts';

/** The plugins of the receipts, with the names that the client gives their commands, skills and agents. */
export async function usablePlugins(m: Machine, receipts: Receipts): Promise<UsablePlugin[]> {
  return Promise.all(Object.values(receipts.plugins).map((receipt) => usable(m, receipt)));
}

async function usable(m: Machine, receipt: Receipt): Promise<UsablePlugin> {
  const { name, version } = receipt;
  const dir = join(m.paths.root, receipt.dir);
  const manifest = readJson((await readFileOrNull(join(dir, MANIFEST_PATH))) ?? undefined) ?? {};
  const commands = new Map<string, { kind: 'command' | 'skill'; component: string }>();
  const agents = new Map<string, string>();
  const called = (as: string, kind: 'command' | 'skill', component: string) => {
    if (!commands.has(as)) commands.set(as, { kind, component });
  };
  const paths = receipt.files.map(({ path }) => path);
  for (const { kind, file, name: place, namesItself } of componentsOf(manifest, paths)) {
    const byPlace = place.replaceAll('/', ':') || name;
    const component = namesItself ? ((await ownName(join(dir, file))) ?? byPlace) : byPlace;
    if (kind === 'agent') agents.set(`${name}:${component}`, component);
    else called(`${name}:${component}`, kind, component);
  }
  for (const { path } of receipt.globalCommands) called(path.slice(0, -3), 'command', path.slice(0, -3));
  for (const { kind, path } of receipt.loose?.files ?? []) {
    const bare = path.replace(/^[^/]+\//, '').replace(/\.md$/, '');
    if (kind === 'command') called(bare.replaceAll('/', ':'), 'command', bare.replaceAll('/', ':'));
    if (kind === 'skill' && path.endsWith('/SKILL.md'))
      called(path.split('/').at(-2) ?? '', 'skill', path.split('/').at(-2) ?? '');
    if (kind === 'agent') {
      const component = (await ownName(join(m.paths.claudeDir, path))) ?? bare.replace(/^.*\//, '');
      agents.set(component, component);
    }
  }
  return { name, version, commands, agents };
}

/** The name in a file's front matter. */
async function ownName(file: string): Promise<string | undefined> {
  const bytes = await readFileOrNull(file);
  if (bytes === null) return undefined;
  try {
    const { data } = parseFrontMatter(bytes.toString('utf8'));
    return typeof data.name === 'string' ? data.name : undefined;
  } catch {
    return undefined;
  }
}
