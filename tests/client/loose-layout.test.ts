// The loose layout in the real client: everything works without any marketplace, switching is one sync, and it comes out again.
// And what a person switches off in the client stays off.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';
import { claudePluginOk, listPlugins } from './harness/claude-plugin.ts';
import { writeProbePlugin } from './harness/hand-made-plugin.ts';
import { scriptedSession } from './harness/with-model.ts';

let collective: Collective;
let log: string;
beforeAll(async () => {
  collective = await Collective.start();
  log = join(collective.operator.project, 'probe.log');
  await collective.publish('base-memory-tools', {
    args: ['--all'],
    async edit(folder) {
      await rm(folder, { recursive: true });
      await writeProbePlugin(folder, log);
    },
  });
});
afterAll(() => collective?.close());

const settingsOf = async (home: TempHome) =>
  JSON.parse(await readFile(join(home.home, '.claude', 'settings.json'), 'utf8').catch(() => '{}'));
const lines = async (): Promise<string[]> => (await readFile(log, 'utf8').catch(() => '')).trim().split('\n');

describe('the loose layout', () => {
  let home: TempHome;

  it('is switched to by one sync', async () => {
    home = await collective.machine('loose');
    await hvOk(home, ['sync']);
    expect((await settingsOf(home)).enabledPlugins).toHaveProperty('probe@collective');
    await hvOk(home, ['config', 'set', 'layout', 'loose']);
    const { reload_needed } = await hvOk(home, ['sync']);
    expect(reload_needed).toBe(true);
    expect(await settingsOf(home)).not.toHaveProperty('extraKnownMarketplaces');
    expect(await settingsOf(home)).not.toHaveProperty('enabledPlugins');
    expect(await hvOk(home, ['status'])).toMatchObject({ layout: 'loose', in_step: true });
  });

  it('gives a session commands, agents, skills, hooks and connected servers', async () => {
    await rm(log, { force: true });
    const { init, hooks, toolResults } = await scriptedSession(
      home,
      [{ tool: 'mcp__probe__ping', input: { note: 'loose' } }, { text: 'done' }],
      { extraArgs: ['--allowedTools', 'mcp__probe__ping'] },
    );
    expect(init.plugins).toEqual([]);
    expect(init.slash_commands).toEqual(expect.arrayContaining(['greet', 'hv-plugin']));
    expect(init.agents).toContain('auditor');
    expect(init.skills).toContain('triage');
    expect(init.mcp_servers).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: 'probe', status: 'connected' }),
        expect.objectContaining({ name: 'haivemind', status: 'connected' }),
      ]),
    );
    expect(toolResults).toEqual([expect.objectContaining({ isError: false, text: 'pong loose' })]);
    const started = hooks.filter((hook) => hook.event === 'SessionStart');
    expect(started.length).toBeGreaterThan(1);
    expect(started.filter((hook) => hook.exitCode !== 0)).toEqual([]);
    expect(await lines()).toEqual(['session start', 'call loose']);
  });

  it('leaves nothing of ours behind, also after the client wrote its own files', async () => {
    await hvOk(home, ['leave']);
    expect(await settingsOf(home)).toEqual({});
    const state = JSON.parse(await readFile(join(home.home, '.claude.json'), 'utf8'));
    expect(state.mcpServers ?? {}).toEqual({});
    const { init, hooks } = await scriptedSession(home);
    expect(init.slash_commands).not.toContain('greet');
    expect(init.mcp_servers).toEqual([]);
    expect(hooks).toEqual([]);
  });

  it('refuses a name that the user has, and takes the rest', async () => {
    const other = await collective.home('clash');
    await hvOk(other, ['config', 'set', 'layout', 'loose']);
    const mine = join(other.home, '.claude.json');
    await writeFile(mine, '{"mcpServers":{"probe":{"command":"mine"}}}');
    await collective.join(other, 'clash');
    const sync = await hv(other, ['sync', '--json']);
    expect(sync.code).toBe(69);
    expect(sync.json.problems).toEqual([
      expect.objectContaining({ name: 'probe', code: 'NAME_CLASH', where: 'machine' }),
    ]);
    expect(JSON.parse(await readFile(mine, 'utf8')).mcpServers.probe).toEqual({ command: 'mine' });
    expect((await hvOk(other, ['status'])).plugins).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: 'haivemind-core', state: 'verified' })]),
    );
    const wrong = await hv(other, ['config', 'set', 'layout', 'other', '--json']);
    expect(wrong.json.error.code).toBe('CONFIG_INVALID');
  });
});

it('what was switched off or uninstalled in the client stays so, and doctor says it', async () => {
  const home = await collective.machine('off');
  await hvOk(home, ['sync']);
  await claudePluginOk(home, 'disable', 'probe@collective');
  await hvOk(home, ['sync']);
  await hvOk(home, ['doctor', '--fix']);
  expect((await settingsOf(home)).enabledPlugins['probe@collective']).toBe(false);
  const { checks } = await hvOk(home, ['doctor']);
  const keys = checks.find((check: { check: string }) => check.check === 'keys');
  expect(keys).toMatchObject({ result: 'ok', message: expect.stringContaining('probe') });
  expect((await scriptedSession(home)).init.slash_commands).not.toContain('probe:greet');

  await claudePluginOk(home, 'enable', 'probe@collective');
  await claudePluginOk(home, 'uninstall', 'probe@collective');
  await hvOk(home, ['doctor', '--fix']);
  expect((await settingsOf(home)).enabledPlugins).not.toHaveProperty('probe@collective');
  expect((await listPlugins(home)).map((plugin) => plugin.id)).not.toContain('probe@collective');
});

it('settings restored from an old backup and a copied HOME are named and mended', async () => {
  const home = await collective.machine('restored');
  await hvOk(home, ['sync']);
  await writeFile(join(home.home, '.claude', 'settings.json'), '{"model":"opus"}');
  const { checks } = (await hv(home, ['doctor', '--json'])).json;
  expect(checks).toContainEqual(expect.objectContaining({ check: 'marketplace', result: 'fail' }));
  const { fixed } = await hvOk(home, ['doctor', '--fix']);
  expect(fixed).toContainEqual(expect.stringContaining('collective'));
  expect((await scriptedSession(home)).init.slash_commands).toContain('probe:greet');

  const config = join(home.home, '.haivemind', 'config.json');
  const value = JSON.parse(await readFile(config, 'utf8'));
  value.machine.host = 'another';
  await writeFile(config, JSON.stringify(value));
  const copied = (await hv(home, ['doctor', '--json'])).json;
  expect(copied.checks).toContainEqual(expect.objectContaining({ check: 'host', result: 'fail' }));
});

it('an incident is recorded there without being asked for, and announced by the hook', async () => {
  const env = { HAIVEMIND_TOKEN: collective.hub.adminToken ?? '' };
  await hvOk(collective.operator, ['publish', 'incident-response', '--all'], { env });
  const home = await collective.home('on-call');
  await hvOk(home, ['config', 'set', 'layout', 'loose']);
  await collective.join(home, 'on-call');
  const input = { incident_id: 'INC-20260301-gate', action: 'start', severity: 'P1', text: 'The gate is down' };
  const steps = [{ tool: 'mcp__haivemind__record_incident', input }, { text: 'done' }];
  const session = await scriptedSession(home, steps, { prompt: '/incident-start P1 the gate is down' });
  expect(session.result.permission_denials ?? []).toEqual([]);
  expect(session.toolResults).toEqual([expect.objectContaining({ isError: false })]);
  const { broadcasts } = await hvOk(home, ['broadcasts']);
  expect(broadcasts).toMatchObject([{ content: 'INC-20260301-gate P1 started: The gate is down', machine: 'on-call' }]);
});
