import { join } from 'node:path';
import { classifier, MANIFEST_PATH } from '../domain/file-types.ts';
import { parseFrontMatter } from '../domain/front-matter.ts';
import { readJson } from '../domain/read-json.ts';
import type { UsablePlugin } from '../domain/use.ts';
import { readFileOrNull } from './file-port.ts';
import type { Machine } from './machine.ts';
import type { Receipt, Receipts } from './receipts.ts';

/** The plugins of the receipts, with the names that the client gives their commands, skills and agents. */
export async function usablePlugins(m: Machine, receipts: Receipts): Promise<UsablePlugin[]> {
  return Promise.all(Object.values(receipts.plugins).map((receipt) => usable(m, receipt)));
}

async function usable(m: Machine, receipt: Receipt): Promise<UsablePlugin> {
  const { name, version } = receipt;
  const dir = join(m.paths.root, receipt.dir);
  const manifest = readJson((await readFileOrNull(join(dir, MANIFEST_PATH))) ?? undefined) ?? {};
  const typeOf = classifier(manifest);
  const commands = new Map<string, { kind: 'command' | 'skill'; component: string }>();
  const agents = new Map<string, string>();
  const called = (as: string, kind: 'command' | 'skill', component: string) => {
    if (!commands.has(as)) commands.set(as, { kind, component });
  };
  for (const { path } of receipt.files) {
    const type = typeOf(path);
    if (type === 'command' && path.endsWith('.md')) {
      // Below the default folder a path is spelt with colons.
      const component = path.replace(/^commands\/|\.md$/g, '').replaceAll('/', ':');
      const bare = path.startsWith('commands/') ? component : (component.split(':').at(-1) ?? '');
      called(`${name}:${bare}`, 'command', bare);
    }
    if (type === 'skill' && path.endsWith('/SKILL.md')) {
      const component = path.split('/').at(-2) ?? '';
      called(`${name}:${component}`, 'skill', component);
    }
    if (type === 'agent' && path.endsWith('.md')) {
      const component = await agentName(join(dir, path), path);
      agents.set(`${name}:${component}`, component);
    }
  }
  for (const { path } of receipt.globalCommands) called(path.slice(0, -3), 'command', path.slice(0, -3));
  for (const { kind, path } of receipt.loose?.files ?? []) {
    const bare = path.replace(/^[^/]+\//, '').replace(/\.md$/, '');
    if (kind === 'command') called(bare.replaceAll('/', ':'), 'command', bare.replaceAll('/', ':'));
    if (kind === 'skill' && path.endsWith('/SKILL.md'))
      called(path.split('/').at(-2) ?? '', 'skill', path.split('/').at(-2) ?? '');
    if (kind === 'agent') {
      const component = await agentName(join(m.paths.claudeDir, path), path);
      agents.set(component, component);
    }
  }
  return { name, version, commands, agents };
}

/** An agent is called as its front matter says. */
async function agentName(file: string, path: string): Promise<string> {
  const byFile = (path.split('/').at(-1) ?? '').replace(/\.md$/, '');
  const bytes = await readFileOrNull(file);
  if (bytes === null) return byFile;
  try {
    const { data } = parseFrontMatter(bytes.toString('utf8'));
    return typeof data.name === 'string' ? data.name : byFile;
  } catch {
    return byFile;
  }
}
