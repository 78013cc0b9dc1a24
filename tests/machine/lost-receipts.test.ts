// Receipts of the loose layout that were lost: everything of ours is known again by where it leads and what it is called, with what a
// person edited in it, and comes out again.
import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyChange, type Install } from '../../server/src/machine/change/transaction.ts';
import { inspect } from '../../server/src/machine/drift.ts';
import { leaveMachine } from '../../server/src/machine/leave.ts';
import { openMachine } from '../../server/src/machine/machine.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { areReceiptsLost, regainReceipts } from '../../server/src/machine/receipts/regain.ts';
import { makeRig, NOW, type Rig } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

const ROOT = '$' + '{CLAUDE_PLUGIN_ROOT}';
const SKILL = '---\nname: triage\n---\none\n\ntwo\n\nthree\n\nfour\n';
const FILES = {
  'commands/deploy.md': `---\ndescription: Deploys\n---\nRun ${ROOT}/bin/go.sh\n`,
  'agents/auditor.md': '---\nname: auditor\n---\nYou audit.\n',
  'skills/triage/SKILL.md': SKILL,
  'skills/triage/ref/table.txt': 'table',
  'hooks/hooks.json': JSON.stringify({
    hooks: {
      SessionStart: [{ hooks: [{ type: 'command', command: `sh ${ROOT}/bin/go.sh` }] }],
      Stop: [{ hooks: [{ type: 'command', command: 'true' }] }],
      PostToolUse: [
        { matcher: 'mcp__plugin_ops_probe__ping', hooks: [{ type: 'command', command: 'sh', args: [`${ROOT}/x`] }] },
      ],
    },
  }),
  '.mcp.json': JSON.stringify({
    mcpServers: { probe: { command: 'node', args: [`${ROOT}/s.mjs`] }, far: { type: 'http', url: 'https://far/' } },
  }),
  'bin/go.sh': '#!/bin/sh\necho hi\n',
};
const SETTINGS = '{\n  "hooks": {"Stop": [{"hooks":[{"type":"command","command":"mine"}]}]},\n  "model": "opus"\n}\n';
const CLAUDE_JSON = '{ "numStartups":3, "mcpServers": {"other": {"command":"x"}} }\n';
const EVENTS = { SessionStart: 1, Stop: 2, PostToolUse: 1 };

const ops = (version = '1.0.0', files: Record<string, string> = {}): Promise<Install> =>
  rig.store('ops', version, { ...FILES, ...files });
const loose = (install: Install[]) => rig.apply({ install, layout: 'loose' });
const used = async (): Promise<void> => {
  await rig.write('.claude/settings.json', SETTINGS);
  await rig.write('.claude.json', CLAUDE_JSON);
};
const json = async (path: string) => JSON.parse(await rig.read(path));
const countOfHooks = async () => {
  const { hooks } = await json('.claude/settings.json');
  return Object.fromEntries(Object.entries(hooks).map(([event, groups]) => [event, (groups as unknown[]).length]));
};
const regain = (layout: 'native' | 'loose' = 'loose') => regainReceipts(rig.machine, { layout, plan: [] });
const lose = () => rm(rig.machine.paths.receipts);
/** All that is not ours: below HOME, our folder aside. */
const outside = async () =>
  Object.fromEntries(Object.entries(await rig.snapshot()).filter(([path]) => !path.includes('.haivemind')));

it('says exactly what the lost ones said', async () => {
  await used();
  await loose([await rig.store('calm', '1.0.0', { 'commands/calm.md': 'calm' }), await ops()]);
  const before = await readReceipts(rig.machine);
  expect(await areReceiptsLost(rig.machine)).toBe(false);
  await lose();
  expect(await areReceiptsLost(rig.machine)).toBe(true);
  expect(await regain()).toMatchObject({ plugins: ['calm', 'ops'], unknown: [] });
  const after = await readReceipts(rig.machine);
  expect(after.layout).toBe('loose');
  for (const name of ['calm', 'ops']) expect(after.plugins[name]?.loose).toEqual(before.plugins[name]?.loose);
  expect(await inspect(rig.machine)).toMatchObject([{ state: 'verified' }, { state: 'verified' }]);
});

it.each([
  ['beside what others wrote', used],
  ['in an empty HOME', async () => {}],
])('everything comes out again %s', async (_, prepare) => {
  await prepare();
  const before = await outside();
  await loose([await ops()]);
  await lose();
  await regain();
  await leaveMachine(rig.machine);
  expect(await outside()).toEqual(before);
});

it('what was edited keeps its edits: here, over an update, and when the plugin goes', async () => {
  await used();
  await loose([await ops()]);
  await rig.write('.claude/agents/auditor.md', 'my agent');
  await rig.write('.claude/skills/triage/SKILL.md', SKILL.replace('four', 'my four'));
  await rm(rig.path('.claude/skills/triage/ref/table.txt'));
  const settings = await json('.claude/settings.json');
  settings.hooks.SessionStart[0].matcher = 'startup';
  await rig.write('.claude/settings.json', JSON.stringify(settings));
  const servers = await json('.claude.json');
  servers.mcpServers.probe.env = { MINE: '1' };
  servers.mcpServers.far.url = 'https://mine/';
  await rig.write('.claude.json', JSON.stringify(servers));
  await lose();
  await regain();
  expect(await inspect(rig.machine)).toMatchObject([
    {
      edited: ['agents/auditor.md', 'skills/triage/SKILL.md'],
      missing: ['settings.json hooks.SessionStart', 'skills/triage/ref/table.txt'],
    },
  ]);
  const { warnings } = await rig.apply({
    install: [await ops('2.0.0', { 'skills/triage/SKILL.md': SKILL.replace('one', 'new one') })],
  });
  expect(warnings).toEqual([]);
  expect(await rig.read('.claude/agents/auditor.md')).toBe('my agent');
  expect(await rig.read('.claude/skills/triage/SKILL.md')).toBe(
    SKILL.replace('one', 'new one').replace('four', 'my four'),
  );
  expect(Object.keys(await outside())).not.toContain('.claude/skills/triage/ref/table.txt');
  const now = await json('.claude/settings.json');
  expect(now.hooks.SessionStart).toEqual([
    { hooks: [{ type: 'command', command: expect.stringContaining('/ops/2.0.0-') }], matcher: 'startup' },
  ]);
  expect(await countOfHooks()).toEqual(EVENTS);
  expect((await json('.claude.json')).mcpServers).toEqual({
    other: { command: 'x' },
    probe: { command: 'node', args: [expect.stringContaining('/ops/2.0.0-')], env: { MINE: '1' } },
    far: { type: 'http', url: 'https://mine/' },
  });
  await lose();
  await regain();
  const { warnings: said } = await leaveMachine(rig.machine);
  expect(said.join()).toContain('2 file(s)');
  expect(Object.keys(await outside()).filter((path) => /auditor|triage|deploy/.test(path))).toEqual([]);
  expect((await json('.claude/settings.json')).hooks).toEqual(JSON.parse(SETTINGS).hooks);
});

it('things under another name, because the name was taken, are known by it', async () => {
  const suffixing = openMachine({ paths: rig.machine.paths, clock: () => NOW, nameClash: 'suffix' });
  for (const path of ['.claude/commands/deploy.md', '.claude/agents/auditor.md', '.claude/skills/triage/own.md'])
    await rig.write(path, 'mine');
  await rig.write('.claude.json', '{"mcpServers":{"probe":{"command":"mine"},"far":{"command":"mine"}}}');
  const before = await outside();
  await applyChange(suffixing, { install: [await ops()], remove: [], reason: 'sync', layout: 'loose' });
  const receipt = (await readReceipts(rig.machine)).plugins.ops?.loose;
  await rig.write('.claude/agents/auditor-ops.md', 'edited');
  await lose();
  await regain();
  expect((await readReceipts(rig.machine)).plugins.ops?.loose).toEqual(receipt);
  await leaveMachine(rig.machine);
  // What was edited is kept in our folder.
  const { '.claude/plugins': _, ...after } = await outside();
  expect(after).toEqual(before);
});

describe('what nobody can tell by its name', () => {
  it('a hook of an earlier rendering goes with the plugin, one of a person stays', async () => {
    await used();
    await loose([await ops()]);
    const { dir = '?' } = (await readReceipts(rig.machine)).plugins.ops ?? {};
    const settings = await json('.claude/settings.json');
    const old = {
      hooks: [{ type: 'command', command: `env OLD=1 ${rig.path('.claude/plugins/.haivemind', dir, 'old.sh')}` }],
    };
    settings.hooks.SessionStart = [old, { hooks: [{ type: 'command', command: 'mine too' }] }];
    await rig.write('.claude/settings.json', JSON.stringify(settings));
    await lose();
    await regain();
    await rig.apply({ remove: ['ops'], reason: 'remove' });
    expect((await json('.claude/settings.json')).hooks).toEqual({
      ...JSON.parse(SETTINGS).hooks,
      SessionStart: [{ hooks: [{ type: 'command', command: 'mine too' }] }],
    });
  });

  it('hooks and servers go on leaving also where the records and the pointer are lost too', async () => {
    await used();
    await loose([await ops()]);
    const { records, marketplace } = rig.machine.paths;
    await lose();
    await rm(records, { recursive: true });
    await rm(marketplace);
    expect((await regain())?.unknown).toHaveLength(1);
    const { warnings } = await leaveMachine(rig.machine);
    expect(warnings).toEqual([
      expect.stringContaining('hooks.SessionStart {"type":"command","command":"sh '),
      expect.stringContaining('hooks.PostToolUse {'),
      expect.stringMatching(/\.claude\.json, .*: mcpServers\.probe$/),
      expect.stringContaining('stay in'),
    ]);
    const { far, ...servers } = (await json('.claude.json')).mcpServers;
    expect([far.type, servers]).toEqual(['http', { other: { command: 'x' } }]);
    expect(await rig.read('.claude/settings.json')).not.toContain('.haivemind');
  });
});

describe('what a person wrote that names our folder', () => {
  const OURS = { type: 'command', command: 'sh', args: ['X/run.sh'] };
  const MINE = { type: 'command', command: 'mine' };
  const server = { command: 'npx', args: ['-y', '@mcp/files', 'X/docs', '/work'] };
  const written = (value: unknown): string =>
    JSON.stringify(value, null, 2).replaceAll('X/', `${rig.machine.paths.versions}/ops/`);

  it.each(['native', 'loose'] as const)('stays on leaving but for the one handler and server: %s', async (layout) => {
    const prompt = { type: 'prompt', prompt: 'see X/a.md' };
    const hooks = { Stop: [{ hooks: [MINE] }, { matcher: 'x', hooks: [MINE, OURS, prompt] }], Notification: [] };
    const servers = { empty: {}, server, gone: { command: 'node', args: ['--x', 'X/s.mjs'] } };
    await rig.write('.claude/settings.json', written({ hooks, model: 'opus' }));
    await rig.write('.claude.json', written({ mcpServers: servers }));
    await rig.apply({ install: [await rig.store('calm', '1.0.0', { 'commands/c.md': 'c' })], layout });
    const { warnings } = await leaveMachine(rig.machine);
    expect(warnings).toEqual([
      expect.stringContaining(`hooks.Stop ${JSON.stringify(OURS).replace('X', `${rig.machine.paths.versions}/ops`)}`),
      expect.stringContaining('mcpServers.gone'),
    ]);
    hooks.Stop[1] = { matcher: 'x', hooks: [MINE, prompt] };
    const { gone: _, ...rest } = servers;
    expect(await json('.claude/settings.json')).toEqual(JSON.parse(written({ hooks, model: 'opus' })));
    expect(await json('.claude.json')).toEqual(JSON.parse(written({ mcpServers: rest })));
  });

  it('is as it was, byte for byte, where none of it starts anything of ours', async () => {
    await rig.write('.claude/settings.json', written({ hooks: { Stop: [{ matcher: 'X/', hooks: [MINE] }] } }));
    await rig.write('.claude.json', written({ mcpServers: { server } }));
    const before = await outside();
    await rig.apply({ install: [await rig.store('calm', '1.0.0', { 'commands/c.md': 'c' })] });
    expect((await leaveMachine(rig.machine)).warnings).toEqual([]);
    expect(await outside()).toEqual(before);
  });
});

it('which layout lies here is seen, whatever the configuration asks for by now', async () => {
  await used();
  const before = await outside();
  await loose([await ops()]);
  await lose();
  expect((await regain('native'))?.plugins).toEqual(['ops']);
  expect((await readReceipts(rig.machine)).layout).toBe('loose');
  await rig.apply({ layout: 'native' });
  await lose();
  expect((await regain('loose'))?.plugins).toEqual(['ops']);
  expect((await readReceipts(rig.machine)).layout).toBe('native');
  await leaveMachine(rig.machine);
  expect(await outside()).toEqual(before);
});
