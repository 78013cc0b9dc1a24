// What documents, hints and the texts of plugins tell people to type exists, and so do the variables they may set.
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { VERBS } from '../../server/src/interfaces/cli/table.ts';
import { builtRepository, REPOSITORY } from '../support/repository.ts';
import { runProcess } from '../support/run-process.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';

const HUB_VERBS = [[], ['backup'], ['restore'], ['token'], ['token', 'create'], ['token', 'list'], ['token', 'revoke']];
/** Options by verb; those of `hub` hold for all of its own verbs. */
const known = new Map<string, Set<string>>();
let home: TempHome;

beforeAll(async () => {
  home = await tempHome('docs');
  for (const { name, options = [] } of VERBS) {
    known.set(name, new Set(['--json', '--help', ...options.flatMap(([flags]) => flagsIn(flags))]));
  }
  const cli = join(await builtRepository(), 'server', 'dist', 'cli.mjs');
  const hub = new Set<string>();
  for (const verb of HUB_VERBS) {
    const { stdout } = await runProcess(process.execPath, [cli, 'hub', ...verb, '--help'], { env: home.env() });
    for (const flag of flagsIn(stdout)) hub.add(flag);
  }
  known.set('hub', hub);
});
afterAll(() => home?.remove());

const flagsIn = (text: string): string[] => text.match(/--[a-z][a-z-]*/g) ?? [];

/** Command lines of `hv` in backticks, or on an indented line of their own, that do not exist. */
function untrue(text: string): string[] {
  const lines = text.matchAll(/`hv ([a-z][a-z-]*)([^`\n]*)`|^ {4}(?:\$ )?hv ([a-z][a-z-]*)(.*)$/gm);
  return [...lines].flatMap(([line, short, rest, long, more]) => {
    const flags = known.get(short ?? long ?? '');
    if (flags === undefined) return [line];
    return flagsIn((rest ?? more ?? '').replace(/ #.*/, '')).some((flag) => !flags.has(flag)) ? [line] : [];
  });
}

function tracked(...paths: string[]): string[] {
  const listed = execFileSync('git', ['ls-files', '-z', ...paths], { cwd: REPOSITORY, encoding: 'utf8' });
  return listed.split('\0').filter((path) => path !== '' && !path.endsWith('.test.ts'));
}

const read = (path: string): Promise<string> => readFile(join(REPOSITORY, path), 'utf8');

it('knows every command and option that is written anywhere', async () => {
  const found: Record<string, string[]> = {};
  const texts = tracked('*.md', 'docs', 'commands', 'skills', 'agents', 'hooks', 'plugins', 'server/src');
  expect(texts.length).toBeGreaterThan(400);
  for (const path of texts.filter((path) => path !== 'CHANGELOG.md')) {
    const lines = untrue(await read(path));
    if (lines.length > 0) found[path] = lines;
  }
  expect(found).toEqual({});
});

it('would notice a command, an option and a line of an example that do not exist', () => {
  expect(untrue('run `hv pubish x`, then `hv list --instaled`; `hv list --installed` is right')).toHaveLength(2);
  expect(untrue('    $ hv hub token create x --role reader\n    hv hub --port 1   # --none\n')).toHaveLength(1);
});

it("shows an example of every verb that the verb's own options allow", () => {
  for (const { name, examples } of VERBS) {
    for (const example of examples) expect(untrue(`\`${example}\``), name).toEqual([]);
  }
});

it('describes every environment variable that is read, and no other', async () => {
  // Read by its name, or taken out of the environment with others.
  const reading = /\benv\??\.(HAIVEMIND_[A-Z_]+)|(?<!const )\b(HAIVEMIND_[A-Z_]+): [a-z]/g;
  const used = new Set<string>();
  for (const path of tracked('server/src', 'hooks')) {
    for (const [, named, taken] of (await read(path)).matchAll(reading)) used.add(named ?? taken ?? '');
  }
  expect(used.size).toBeGreaterThan(10);
  const described = new Set((await read('docs/configuration.md')).match(/\bHAIVEMIND_[A-Z_]+\b/g));
  expect([...described].sort()).toEqual([...used].sort());
});
