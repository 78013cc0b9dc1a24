// What the rest of the client tests stand on: the real client loads a hand-made plugin and the harness sees all of it.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { claudePlugin, listPlugins } from './harness/claude-plugin.ts';
import { enableByHand, writeProbePlugin } from './harness/hand-made-plugin.ts';
import type { ScriptedStep } from './harness/scripted-model.ts';
import type { SessionOptions } from './harness/session.ts';
import { scriptedSession } from './harness/with-model.ts';

let home: TempHome;
let log: string;
beforeEach(async () => {
  home = await tempHome('harness');
  log = join(home.project, 'probe.log');
});
afterEach(() => home.remove());

const logged = () => readFile(log, 'utf8').catch(() => '');

const session = (steps: ScriptedStep[], options: Partial<SessionOptions> = {}) => scriptedSession(home, steps, options);

describe('a plugin of a directory marketplace', () => {
  beforeEach(async () => {
    const marketplace = join(home.home, '.claude', 'plugins', 'mine');
    await writeProbePlugin(join(marketplace, 'probe'), log);
    await enableByHand(join(home.home, '.claude'), marketplace);
  });

  it('shows in init with its command, agent, skill and connected server', async () => {
    const { init, result } = await session([{ text: 'hello' }]);
    expect(init.plugins.map((plugin) => plugin.name)).toContain('probe');
    expect(init.slash_commands).toContain('probe:greet');
    expect(init.agents).toContain('probe:auditor');
    expect(init.skills).toContain('probe:triage');
    expect(init.mcp_servers).toContainEqual(
      expect.objectContaining({ name: 'plugin:probe:probe', status: 'connected' }),
    );
    expect(result.result).toBe('hello');
  });

  it('runs its SessionStart hook, and its tool answers a scripted call', async () => {
    const run = await session([{ tool: 'mcp__plugin_probe_probe__ping', input: { note: 'one' } }, { text: 'hello' }], {
      extraArgs: ['--allowedTools', 'mcp__plugin_probe_probe__ping'],
    });
    expect(run.hooks.map((hook) => hook.event)).toContain('SessionStart');
    expect(run.toolResults).toEqual([expect.objectContaining({ isError: false, text: 'pong one' })]);
    expect(await logged()).toBe('session start\ncall one\n');
    // The model saw the answer too.
    expect(JSON.stringify(run.requests[1]?.messages)).toContain('pong one');
  });

  it('is denied its tool when nothing allows it', async () => {
    const run = await session([{ tool: 'mcp__plugin_probe_probe__ping', input: { note: 'one' } }, { text: 'hello' }]);
    expect(run.toolResults).toEqual([expect.objectContaining({ isError: true })]);
    expect(run.result.permission_denials?.map((denial) => denial.tool_name)).toEqual(['mcp__plugin_probe_probe__ping']);
    expect(await logged()).not.toContain('call');
  });

  it('fires matcher Bash with if, and never a matcher in permission-rule form', async () => {
    await home.fakeProgram('kubectl', 'echo "Client Version: v1"');
    const run = await session(
      [{ tool: 'Bash', input: { command: 'kubectl version', description: 'x' } }, { text: 'ok' }],
      {
        extraArgs: ['--allowedTools', 'Bash(kubectl:*)'],
      },
    );
    expect(run.toolResults).toEqual([expect.objectContaining({ isError: false, text: 'Client Version: v1' })]);
    expect(await logged()).toBe('session start\nmatcher with if\n');
  });

  it('does not fire the conditional hook for another command', async () => {
    const run = await session(
      [{ tool: 'Bash', input: { command: 'echo kubectl', description: 'x' } }, { text: 'ok' }],
      {
        extraArgs: ['--allowedTools', 'Bash(echo:*)'],
      },
    );
    expect(run.toolResults).toEqual([expect.objectContaining({ text: 'kubectl' })]);
    expect(await logged()).toBe('session start\n');
  });
});

it('a folder in ~/.claude/plugins alone is not loaded', async () => {
  await writeProbePlugin(join(home.home, '.claude', 'plugins', 'probe'), log);
  const { init } = await session([{ text: 'hello' }]);
  expect(init.plugins).toEqual([]);
  expect(init.slash_commands.filter((command) => command.includes('greet'))).toEqual([]);
  expect(await logged()).toBe('');
});

it('claude plugin validate tells a good plugin from one whose agents is a folder', async () => {
  const folder = join(home.project, 'probe');
  await writeProbePlugin(folder, log);
  const good = await claudePlugin(home, 'validate', '--json', folder);
  expect(good.code).toBe(0);

  await writeFile(
    join(folder, '.claude-plugin', 'plugin.json'),
    '{"name":"probe","version":"1.0.0","agents":"./agents/"}',
  );
  const bad = await claudePlugin(home, 'validate', '--json', folder);
  expect(bad.code).not.toBe(0);
  expect(bad.stdout).toContain('.md');
});

it('claude plugin list names nothing in an empty home', async () => {
  expect(await listPlugins(home)).toEqual([]);
});
