// The loose layout: what is written outside our folder, that it is never somebody else's, and that it all comes out again.
import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyChange, type Install } from '../../server/src/machine/change/transaction.ts';
import { inspect } from '../../server/src/machine/drift.ts';
import { leaveMachine } from '../../server/src/machine/leave.ts';
import { openMachine } from '../../server/src/machine/machine.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { makeRig, NOW, type Rig } from './rig.ts';

const ROOT = '.claude/plugins/.haivemind';
let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

const FILES = {
  'commands/deploy.md': '---\ndescription: Deploys\n---\nRun ${CLAUDE_PLUGIN_ROOT}/bin/go.sh\n',
  'commands/sub/deep.md': 'deep',
  'agents/auditor.md': '---\nname: auditor\ndescription: Audits\n---\nYou audit.\n',
  'skills/triage/SKILL.md': '---\nname: triage\ndescription: Sorts\n---\n# Triage\n\none\n\ntwo\n\nthree\n',
  'skills/triage/ref/table.txt': 'table',
  'hooks/hooks.json': JSON.stringify({
    hooks: {
      SessionStart: [{ hooks: [{ type: 'command', command: 'sh', args: ['${CLAUDE_PLUGIN_ROOT}/bin/go.sh'] }] }],
      PostToolUse: [
        {
          matcher: 'mcp__plugin_ops_probe__ping',
          hooks: [{ type: 'mcp_tool', server: 'plugin:ops:probe', tool: 'ping', input: {} }],
        },
      ],
    },
  }),
  '.mcp.json': JSON.stringify({ mcpServers: { probe: { command: 'node', args: ['${CLAUDE_PLUGIN_ROOT}/s.mjs'] } } }),
  'bin/go.sh': '#!/bin/sh\necho hi\n',
};
const SETTINGS =
  '{\r\n\t"model":"opus",\r\n\t"hooks": { "SessionStart": [ {"hooks":[{"type":"command","command":"mine"}]} ] },\r\n\t"z":[1]}';
const CLAUDE_JSON = '{ "numStartups":3, "mcpServers": {"other": {"command":"x"}}, "projects":{} }\n';

const ops = (version = '1.0.0', files: Record<string, string> = {}): Promise<Install> =>
  rig.store('ops', version, { ...FILES, ...files });
const loose = (install: Install[]) => rig.apply({ install, layout: 'loose' });
const json = async (path: string) => JSON.parse((await rig.read(path)).replace(/^\uFEFF/, ''));
const treeOf = async (name = 'ops'): Promise<string> =>
  rig.path(ROOT, (await readReceipts(rig.machine)).plugins[name]?.dir ?? '?');
const outside = async (): Promise<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(await rig.snapshot()).filter(([path, what]) => what !== 'dir' && !path.includes('.claude/plugins')),
  );
const withPolicy = (policy: 'refuse' | 'suffix') =>
  openMachine({ paths: rig.machine.paths, clock: () => NOW, nameClash: policy });

describe('a loose installation', () => {
  it('puts commands, agents, skills, hooks and servers among the user’s', async () => {
    await rig.write('.claude/settings.json', SETTINGS);
    await rig.write('.claude.json', CLAUDE_JSON);
    const { warnings } = await loose([await ops()]);
    expect(warnings).toEqual([]);
    const tree = await treeOf();
    expect(await rig.read('.claude/commands/deploy.md')).toContain(`Run ${tree}/bin/go.sh`);
    expect(await rig.read('.claude/commands/sub/deep.md')).toBe('deep');
    expect(await rig.read('.claude/agents/auditor.md')).toContain('You audit.');
    expect(await rig.read('.claude/skills/triage/ref/table.txt')).toBe('table');
    const settings = await json('.claude/settings.json');
    expect(Object.keys(settings)).toEqual(['model', 'hooks', 'z']);
    expect(settings.hooks.SessionStart).toEqual([
      { hooks: [{ type: 'command', command: 'mine' }] },
      { hooks: [{ type: 'command', command: 'sh', args: [`${tree}/bin/go.sh`] }] },
    ]);
    expect(settings.hooks.PostToolUse).toEqual([
      { matcher: 'mcp__probe__ping', hooks: [{ type: 'mcp_tool', server: 'probe', tool: 'ping', input: {} }] },
    ]);
    expect((await json('.claude.json')).mcpServers).toEqual({
      other: { command: 'x' },
      probe: { command: 'node', args: [`${tree}/s.mjs`] },
    });
    expect((await rig.snapshot())['.claude/plugins/installed_plugins.json']).toBeUndefined();
    expect(await inspect(rig.machine)).toMatchObject([{ name: 'ops', state: 'verified', edited: [], missing: [] }]);
  });

  it("names the core's server and tools in another plugin's hooks as they are called here", async () => {
    const core = 'mcp__plugin_haivemind-core_haivemind__record_incident';
    const handler = { type: 'mcp_tool', server: 'plugin:haivemind-core:haivemind', tool: 'announce_incident' };
    const hooks = { hooks: { PostToolUse: [{ matcher: core, hooks: [handler] }] } };
    await loose([await ops('1.0.0', { 'hooks/hooks.json': JSON.stringify(hooks) })]);
    expect((await json('.claude/settings.json')).hooks.PostToolUse).toEqual([
      {
        matcher: 'mcp__haivemind__record_incident',
        hooks: [{ type: 'mcp_tool', server: 'haivemind', tool: 'announce_incident' }],
      },
    ]);
  });

  it('comes out again byte for byte, beside what others wrote and in an empty HOME', async () => {
    for (const used of [true, false]) {
      if (used) {
        await rig.write('.claude/settings.json', SETTINGS);
        await rig.write('.claude.json', CLAUDE_JSON);
        await rig.write('.claude/commands/mine.md', 'mine');
      }
      const before = await rig.snapshot();
      await loose([await ops()]);
      await rig.apply({ install: [await ops('2.0.0', { 'commands/deploy.md': 'new', 'agents/more.md': 'more' })] });
      await leaveMachine(rig.machine);
      expect(await rig.snapshot()).toEqual(before);
      await rm(rig.path('.claude'), { recursive: true, force: true });
      await rm(rig.path('.claude.json'), { force: true });
    }
  });

  it('gives scripts that read CLAUDE_PLUGIN_ROOT their folder', async () => {
    const script = '#!/bin/sh\n. "$CLAUDE_PLUGIN_ROOT/lib.sh"\n';
    const hooks = {
      hooks: { Stop: [{ hooks: [{ type: 'command', command: 'sh "${CLAUDE_PLUGIN_ROOT}/bin/go.sh"' }] }] },
    };
    await loose([await ops('1.0.0', { 'bin/go.sh': script, 'hooks/hooks.json': JSON.stringify(hooks) })]);
    const tree = await treeOf();
    const { command } = (await json('.claude/settings.json')).hooks.Stop[0].hooks[0];
    expect(command).toBe(`export CLAUDE_PLUGIN_ROOT='${tree}'; sh "${tree}/bin/go.sh"`);
    expect((await json('.claude.json')).mcpServers.probe.env).toEqual({ CLAUDE_PLUGIN_ROOT: tree });
  });

  it('refuses a plugin that needs userConfig or a data folder, and changes nothing', async () => {
    const manifest = (extra: object) => JSON.stringify({ name: 'ops', version: '1.0.0', description: 'd', ...extra });
    const asks = { userConfig: { token: { type: 'string', title: 'T' } } };
    const before = await outside();
    for (const files of [
      { '.claude-plugin/plugin.json': manifest(asks) },
      { '.mcp.json': JSON.stringify({ mcpServers: { s: { command: 'x', env: { D: '${CLAUDE_PLUGIN_DATA}' } } } }) },
    ]) {
      await expect(loose([await ops('1.0.0', files as Record<string, string>)])).rejects.toMatchObject({
        code: 'LAYOUT_UNSUPPORTED',
        details: { name: 'ops' },
      });
    }
    expect(await outside()).toEqual(before);
    const optional = manifest({ userConfig: { url: { type: 'string', required: false }, n: { default: 5 } } });
    const servers = { mcpServers: { s: { command: 'x', args: ['${user_config.url}', '${user_config.n}'] } } };
    await loose([await ops('1.0.0', { '.claude-plugin/plugin.json': optional, '.mcp.json': JSON.stringify(servers) })]);
    expect((await json('.claude.json')).mcpServers.s.args).toEqual(['', '5']);
  });
});

describe('a name that is taken', () => {
  const taken: [string, () => Promise<void>][] = [
    ['a command', () => rig.write('.claude/commands/Deploy.md', 'mine')],
    ['an agent', () => rig.write('.claude/agents/auditor.md', 'mine')],
    ['a skill', () => rig.write('.claude/skills/triage/mine.txt', 'mine')],
    ['a server', () => rig.write('.claude.json', '{"mcpServers":{"probe":{"command":"mine"}}}')],
  ];
  for (const [what, write] of taken) {
    it(`refuses ${what} of the user's, and nothing is changed`, async () => {
      await write();
      const before = await outside();
      await expect(loose([await ops()])).rejects.toMatchObject({
        ...{ code: 'NAME_CLASH', details: { name: 'ops' } },
        message: expect.stringContaining("somebody else's"),
      });
      expect(await outside()).toEqual(before);
      expect((await readReceipts(rig.machine)).plugins).toEqual({});
    });
  }

  it('is suffixed where the policy says so; removal leaves the user’s', async () => {
    for (const [, write] of taken) await write();
    const before = await outside();
    const machine = withPolicy('suffix');
    const change = { remove: [], reason: 'install' as const };
    const { warnings } = await applyChange(machine, { ...change, install: [await ops()], layout: 'loose' });
    expect(warnings).toHaveLength(4);
    expect(await rig.read('.claude/commands/deploy-ops.md')).toContain('Run ');
    expect(await rig.read('.claude/agents/auditor-ops.md')).toContain('\nname: auditor-ops\n');
    expect(await rig.read('.claude/skills/triage-ops/SKILL.md')).toContain('\nname: triage-ops\n');
    expect(Object.keys((await json('.claude.json')).mcpServers)).toEqual(['probe', 'probe-ops']);
    const [group] = (await json('.claude/settings.json')).hooks.PostToolUse;
    expect(group).toMatchObject({ matcher: 'mcp__probe-ops__ping', hooks: [{ server: 'probe-ops' }] });
    // The names stay through an update, and an edit of a renamed file is carried on.
    await rig.write(
      '.claude/agents/auditor-ops.md',
      '---\nname: auditor-ops\ndescription: Audits\n---\nYou audit mine.\n',
    );
    await applyChange(machine, { ...change, install: [await ops('2.0.0')] });
    expect(await rig.read('.claude/agents/auditor-ops.md')).toContain('name: auditor-ops\n');
    expect(await rig.read('.claude/agents/auditor-ops.md')).toContain('audit mine');
    expect(await rig.read(`${ROOT}/${(await readReceipts(machine)).plugins.ops?.dir}/agents/auditor.md`)).toContain(
      'name: auditor\n',
    );
    await applyChange(machine, { ...change, install: [], remove: ['ops'], purge: ['ops'] });
    expect(await outside()).toEqual(before);
  });

  it('by another plugin is refused too, and moves along when the other gives it up', async () => {
    const [a, b] = [
      await rig.store('a', '1.0.0', { 'commands/x.md': 'a' }),
      await rig.store('b', '1.0.0', { 'commands/x.md': 'b' }),
    ];
    const clash = {
      code: 'NAME_CLASH',
      message: 'b brings the command commands/x.md, which another plugin has here already',
    };
    await expect(loose([a, b])).rejects.toMatchObject(clash);
    await loose([a]);
    await expect(rig.apply({ install: [b] })).rejects.toMatchObject(clash);
    await rig.apply({ install: [b], remove: ['a'] });
    expect(await rig.read('.claude/commands/x.md')).toBe('b');
  });
});

describe('edits of the copies', () => {
  const SKILL = '.claude/skills/triage/SKILL.md';
  it('survive an update: kept, merged, deleted; a conflict keeps both', async () => {
    await loose([await ops()]);
    const old = await treeOf();
    await rig.write('.claude/commands/deploy.md', `mine, with ${old}/bin/go.sh\n`);
    await rig.write(SKILL, (await rig.read(SKILL)).replace('one', 'my one'));
    await rig.write('.claude/agents/auditor.md', 'my auditor');
    await rm(rig.path('.claude/commands/sub/deep.md'));
    const { edits } = await rig.apply({
      install: [
        await ops('2.0.0', {
          'skills/triage/SKILL.md': FILES['skills/triage/SKILL.md'].replace('three', 'three of 2'),
          'agents/auditor.md': 'their auditor',
        }),
      ],
    });
    expect(edits).toEqual(
      expect.arrayContaining([
        { name: 'ops', path: 'commands/deploy.md', outcome: 'kept' },
        { name: 'ops', path: 'skills/triage/SKILL.md', outcome: 'merged' },
        { name: 'ops', path: 'agents/auditor.md', outcome: 'conflict' },
        { name: 'ops', path: 'commands/sub/deep.md', outcome: 'kept' },
      ]),
    );
    expect(await rig.read('.claude/commands/deploy.md')).toBe(`mine, with ${await treeOf()}/bin/go.sh\n`);
    expect(await treeOf()).not.toBe(old);
    expect(await rig.read(SKILL)).toContain('my one');
    expect(await rig.read(SKILL)).toContain('three of 2');
    expect(await rig.read('.claude/agents/auditor.md')).toBe('my auditor');
    expect((await rig.snapshot())['.claude/commands/sub/deep.md']).toBeUndefined();
    expect(await inspect(rig.machine)).toMatchObject([{ state: 'edited', conflicts: ['agents/auditor.md'] }]);
  });

  it('go to a backup when the published version is put back', async () => {
    const one = await ops();
    await loose([one]);
    await rig.write('.claude/commands/deploy.md', 'mine');
    await rm(rig.path(SKILL));
    await rig.apply({ install: [one], overwriteEdits: true });
    expect(await rig.read('.claude/commands/deploy.md')).toContain('Deploys');
    expect(await rig.read(SKILL)).toContain('# Triage');
    const kept = Object.entries(await rig.snapshot()).filter(([path]) => path.includes('backups/edits/ops/'));
    expect(kept.filter(([, text]) => text !== 'dir')).toEqual([
      [expect.stringContaining('/commands/deploy.md'), '644 mine'],
    ]);
    expect(await inspect(rig.machine)).toMatchObject([{ state: 'verified' }]);
  });

  it('are put back as often as that is asked, and what is deleted in between stays so', async () => {
    const one = await ops();
    await loose([one]);
    for (let time = 0; time < 2; time++) {
      await rig.write('.claude/agents/auditor.md', 'mine');
      await rm(rig.path('.claude/commands/sub/deep.md'));
      await rig.apply({ install: [await rig.store('other', `1.${time}.0`, { 'commands/o.md': 'o' })] });
      expect(Object.keys(await outside())).not.toContain('.claude/commands/sub/deep.md');
      await rig.apply({ install: [one], overwriteEdits: true });
      expect(await rig.read('.claude/commands/sub/deep.md')).toBe('deep');
      expect(await rig.read('.claude/agents/auditor.md')).toContain('You audit.');
    }
  });

  it('are kept as an overlay on removal, and lie on top when the plugin comes back', async () => {
    const one = await ops();
    await loose([one]);
    await rig.write('.claude/commands/deploy.md', 'mine');
    const { warnings } = await rig.apply({ remove: ['ops'], reason: 'remove' });
    expect(warnings).toEqual([expect.stringContaining('overlays/ops')]);
    expect((await rig.snapshot())['.claude/commands']).toBeUndefined();
    await rig.apply({ install: [one] });
    expect(await rig.read('.claude/commands/deploy.md')).toBe('mine');
    await rig.apply({ remove: ['ops'], reason: 'remove', purge: ['ops'] });
    expect((await rig.snapshot())[`${ROOT}/overlays/ops`]).toBeUndefined();
    await rig.apply({ install: [one] });
    expect(await rig.read('.claude/commands/deploy.md')).toContain('Deploys');
  });

  it('of hooks and servers are kept through an update, moved to the new tree, and go with the plugin', async () => {
    await loose([await ops()]);
    const settings = await rig.read('.claude/settings.json');
    await rig.write(
      '.claude/settings.json',
      settings
        .replace('"type":"command"', '"timeout":9,"type":"command"')
        .replace('"type": "command"', '"timeout": 9,\n "type": "command"'),
    );
    const servers = await json('.claude.json');
    servers.mcpServers.probe.env = { MINE: '1' };
    await rig.write('.claude.json', JSON.stringify(servers));
    await rig.apply({ install: [await ops('2.0.0')] });
    const tree = await treeOf();
    expect((await json('.claude/settings.json')).hooks.SessionStart).toEqual([
      { hooks: [{ timeout: 9, type: 'command', command: 'sh', args: [`${tree}/bin/go.sh`] }] },
    ]);
    expect((await json('.claude.json')).mcpServers.probe).toEqual({
      command: 'node',
      args: [`${tree}/s.mjs`],
      env: { MINE: '1' },
    });
    await rig.apply({ remove: ['ops'], reason: 'remove' });
    const after = await rig.snapshot();
    expect(after['.claude/settings.json']).toBeUndefined();
    expect(after['.claude.json']).toBeUndefined();
  });

  it('a hook and a server that the user took out stay out', async () => {
    await loose([await ops()]);
    await rig.write('.claude/settings.json', '{}');
    await rig.write('.claude.json', '{"mcpServers":{}}');
    expect(await inspect(rig.machine)).toMatchObject([
      {
        state: 'edited',
        missing: [
          'settings.json hooks.SessionStart',
          'settings.json hooks.PostToolUse',
          '.claude.json mcpServers.probe',
        ],
      },
    ]);
    await rig.apply({ install: [await ops('2.0.0')] });
    expect(await json('.claude/settings.json')).toEqual({});
    expect(await json('.claude.json')).toEqual({ mcpServers: {} });
    await rig.apply({ enable: ['ops'] });
    expect(Object.keys((await json('.claude/settings.json')).hooks)).toEqual(['SessionStart', 'PostToolUse']);
    expect(Object.keys((await json('.claude.json')).mcpServers)).toEqual(['probe']);
  });
});

describe('switching the layout', () => {
  it('there and back gives the same bytes outside our folder', async () => {
    await rig.write('.claude/settings.json', SETTINGS);
    await rig.write('.claude.json', CLAUDE_JSON);
    const core = await rig.store(
      'haivemind-core',
      '1.0.0',
      { 'commands/hv.md': 'hv ${CLAUDE_PLUGIN_ROOT}' },
      { globalCommands: true },
    );
    await rig.apply({ install: [core, await ops()] });
    const native = await rig.snapshot();
    await rig.apply({ layout: 'loose' });
    const settings = await json('.claude/settings.json');
    expect(settings.enabledPlugins).toBeUndefined();
    expect(settings.extraKnownMarketplaces).toBeUndefined();
    expect(settings.hooks.PostToolUse).toHaveLength(1);
    expect(await rig.read('.claude/commands/hv.md')).toBe(`hv ${await treeOf('haivemind-core')}`);
    await rig.apply({ layout: 'native' });
    const back = await rig.snapshot();
    // Both switches are in the machine's history, whose head the receipts hold.
    const withoutHistory = (text = '') => ({ ...JSON.parse(text.slice(text.indexOf('{'))), audit: null });
    const receipts = `${ROOT}/receipts.json`;
    expect(withoutHistory(back[receipts])).toEqual(withoutHistory(native[receipts]));
    for (const path of [
      receipts,
      `${ROOT}/audit.jsonl`,
      `${ROOT}/backups/.claude.json`,
      `${ROOT}/backups/settings.json`,
      `${ROOT}/backups/installed_plugins.json`,
    ]) {
      delete back[path];
      delete native[path];
    }
    expect(back).toEqual({ ...native, [`${ROOT}/backups`]: 'dir' });
  });

  it('carries edits, and respects what the user had disabled', async () => {
    const calm = await rig.store('calm', '1.0.0', { 'commands/calm.md': 'calm' });
    await rig.apply({ install: [await ops(), calm] });
    await rig.write('.claude/plugins/ops/commands/deploy.md', 'edited in the tree');
    const off = (await rig.read('.claude/settings.json')).replace(
      '"calm@collective": true',
      '"calm@collective": false',
    );
    await rig.write('.claude/settings.json', off);
    await rig.apply({ layout: 'loose' });
    expect(await rig.read('.claude/commands/deploy.md')).toBe('edited in the tree');
    expect((await rig.snapshot())['.claude/commands/calm.md']).toBeUndefined();
    expect(await inspect(rig.machine)).toMatchObject([
      { name: 'calm', state: 'disabled' },
      { name: 'ops', state: 'edited', edited: ['commands/deploy.md'] },
    ]);
    await rig.write('.claude/agents/auditor.md', 'edited as a copy');
    await rig.apply({ layout: 'native' });
    expect(await rig.read('.claude/plugins/ops/commands/deploy.md')).toBe('edited in the tree');
    expect(await rig.read('.claude/plugins/ops/agents/auditor.md')).toBe('edited as a copy');
    expect((await json('.claude/settings.json')).enabledPlugins).toEqual({
      'calm@collective': false,
      'ops@collective': true,
    });
    expect((await rig.snapshot())['.claude/agents']).toBeUndefined();
  });

  it('is refused whole when one plugin cannot follow', async () => {
    await rig.write('.claude/commands/deploy.md', 'mine');
    await rig.apply({ install: [await rig.store('calm', '1.0.0', { 'commands/calm.md': 'calm' }), await ops()] });
    const before = await rig.snapshot();
    await expect(rig.apply({ layout: 'loose' })).rejects.toMatchObject({
      code: 'NAME_CLASH',
      details: { name: 'ops' },
    });
    expect(await rig.snapshot()).toEqual(before);
  });
});
