// `hv dev` in the real client: a folder as it is being edited, in the place of what is installed, and back again.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type ClientContext, openClient } from '../../server/src/client/context.ts';
import { type DevResult, devOnce, devStop, devWatch } from '../../server/src/client/publish/dev.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { md } from '../packaging/one-fault.ts';
import { Collective } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import { pluginFiles } from '../support/plugin-files.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { treeSnapshot } from '../support/tree-snapshot.ts';
import { writeSource } from './agreement/compare.ts';
import { writeFiles } from './harness/hand-made-plugin.ts';
import { scriptedSession } from './harness/with-model.ts';

let home: TempHome;
let ctx: ClientContext;
let folder = '';
const open = (of: TempHome) => {
  const none = {
    claudeConfigDir: undefined,
    haivemindHome: undefined,
    hubUrl: undefined,
    token: undefined,
    caFile: undefined,
  };
  return openClient({ home: of.home, path: '', ...none });
};
beforeEach(async () => {
  home = await tempHome('dev');
  ctx = await open(home);
  folder = join(home.project, 'my plugin ü');
});
afterEach(() => home.remove());

const write = (contents: Record<string, unknown>) => writeSource(folder, pluginFiles(contents));
const log = () => join(home.project, 'log');
/** In the seed's dialect, without a version: it works only translated. */
const seedForm = (word: string) => ({
  '.claude-plugin/plugin.json': {
    name: 'pp',
    description: 'A plugin',
    author: { name: 'T' },
    components: { commands: './commands/' },
  },
  [`commands/${word}.md`]: md(`description: Says ${word}`),
  'hooks/hooks.json': {
    hooks: {
      PreToolUse: [{ matcher: 'Bash(kubectl:*)', hooks: [{ type: 'command', command: `echo ${word} >> '${log()}'` }] }],
    },
  },
});
const session = () =>
  scriptedSession(home, [{ tool: 'Bash', input: { command: 'kubectl version', description: 'x' } }, { text: 'done' }], {
    extraArgs: ['--allowedTools', 'Bash'],
  });

it('shows a folder without a version, then its edits, and takes every trace back', async () => {
  await mkdir(join(home.home, '.claude'));
  await writeFile(join(home.home, '.claude', 'settings.json'), '{ "model": "opus" }');
  await write(seedForm('one'));
  expect(await devOnce(ctx, folder)).toMatchObject({ name: 'pp', removed: [] });
  expect((await session()).init.slash_commands).toContain('pp:one');
  expect(await readFile(log(), 'utf8')).toBe('one\n');

  await rm(join(folder, 'commands', 'one.md'));
  await write(seedForm('two'));
  const again = await devOnce(ctx, folder);
  expect([again.written.sort(), again.removed]).toEqual([['commands/two.md', 'hooks/hooks.json'], ['commands/one.md']]);
  expect((await session()).init.slash_commands.filter((c) => c.startsWith('pp:'))).toEqual(['pp:two']);
  expect(await readFile(log(), 'utf8')).toBe('one\ntwo\n');
  expect((await devOnce(ctx, folder)).written).toEqual([]);

  await write({ 'hooks/hooks.json': '{' });
  await expect(devOnce(ctx, folder)).rejects.toMatchObject({ code: 'COMPONENT_INVALID' });
  expect((await session()).init.slash_commands).toContain('pp:two');

  expect(await devStop(ctx)).toEqual(['pp']);
  expect((await session()).init.slash_commands.filter((c) => c.startsWith('pp:'))).toEqual([]);
  expect(await readFile(join(home.home, '.claude', 'settings.json'), 'utf8')).toBe('{ "model": "opus" }');
  expect((await readReceipts(ctx.machine)).dev).toBeUndefined();
  await expect(devStop(ctx)).rejects.toMatchObject({
    code: 'NOT_FOUND',
    hint: expect.stringContaining('No plugin is'),
  });
});

it('says in status and doctor what is shown without being installed, and doctor --fix leaves it there', async () => {
  const collective = await Collective.start();
  try {
    const machine = await collective.machine('dev-2');
    await write(seedForm('draft'));
    await devOnce(await open(machine), folder);
    const status = await hvOk(machine, ['status']);
    expect(status).toMatchObject({ in_step: true, plugins: [{}, { name: 'pp', state: 'shown', shown_from: folder }] });
    expect((await hvOk(machine, ['doctor', '--fix'])).ok).toBe(true);
    expect((await hvOk(machine, ['status', 'pp'])).plugins).toHaveLength(1);
    expect(await readFile(join(machine.home, '.claude', 'settings.json'), 'utf8')).toContain('pp@collective');
  } finally {
    await collective.close();
  }
});

it('shows what was saved, once it has come to rest', async () => {
  await write(seedForm('one'));
  const ended = new AbortController();
  const shown: DevResult[] = [];
  const errors: unknown[] = [];
  let wake: (count?: number) => unknown = () => undefined;
  const next = (what: { length: number }, count: number) =>
    new Promise<void>((done) => {
      wake = () => what.length >= count && done();
      wake();
    });
  const watching = devWatch(ctx, folder, {
    signal: ended.signal,
    everyMs: 20,
    onShown: (result) => wake(shown.push(result)),
    onError: (error) => wake(errors.push(error)),
  });
  await next(shown, 1);
  await write({ 'commands/more.md': md('description: More') });
  await next(shown, 2);
  expect(shown[1]?.written).toEqual(['commands/more.md']);
  await write({ 'hooks/hooks.json': '[' });
  await next(errors, 1);
  expect(errors[0]).toMatchObject({ code: 'COMPONENT_INVALID' });
  await write(seedForm('two'));
  await next(shown, 3);
  ended.abort();
  await watching;
  expect(shown[2]?.written).toContain('commands/two.md');
});

it('stands in for the installed plugin through a sync, and gives it back', async () => {
  const collective = await Collective.start();
  try {
    const machine = await collective.machine('dev-1');
    await writeFiles(collective.operator.project, {
      'p/.claude-plugin/plugin.json': { name: 'pp', version: '1.0.0', description: 'A plugin', author: { name: 'T' } },
      'p/commands/published.md': md('description: Published'),
    });
    await hvOk(collective.operator, ['publish', join(collective.operator.project, 'p'), '--all']);
    await hvOk(machine, ['sync']);
    const commands = async () =>
      (await scriptedSession(machine)).init.slash_commands.filter((c) => c.startsWith('pp:'));
    const before = await treeSnapshot(join(machine.home, '.claude', 'plugins', '.haivemind', '.claude-plugin'));
    expect(await commands()).toEqual(['pp:published']);
    await write(seedForm('draft'));
    const own = await open(machine);
    await devOnce(own, folder);
    expect(await commands()).toEqual(['pp:draft']);
    const from = `shown from ${folder} by \`hv dev\` (\`hv dev --stop\` ends it)`;
    expect((await hv(machine, ['status'])).stdout).toMatch(/· in step(.|\n)*pp +1\.0\.0 +verified/);
    expect((await hv(machine, ['status'])).stdout).toContain(from);
    expect((await hv(machine, ['doctor'])).stdout).toContain(`shown by \`hv dev\`: pp from ${folder}`);
    const { changed } = await hvOk(machine, ['sync']);
    expect(changed.reinstalled).toEqual([]);
    expect(await commands()).toEqual(['pp:draft']);
    await devStop(own, { name: 'pp', dir: 'nowhere' });
    expect(await commands()).toEqual(['pp:published']);
    expect(await treeSnapshot(join(machine.home, '.claude', 'plugins', '.haivemind', '.claude-plugin'))).toEqual(
      before,
    );
    await devOnce(own, folder);
    await hvOk(machine, ['leave']);
    expect(await commands()).toEqual([]);
  } finally {
    await collective.close();
  }
});
