// What real sessions use, counted by the client's own hooks on the running server, as it arrives at the hub.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claudeBinary } from '../client/harness/claude-binary.ts';
import { scriptedModel } from '../client/harness/scripted-model.ts';
import { clientEnv } from '../client/harness/session.ts';
import { scriptedSession } from '../client/harness/with-model.ts';
import { ask } from '../hub/support.ts';
import { Collective, DEVOPS } from '../support/collective.ts';
import { hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';

const TOOL = 'mcp__plugin_devops-essentials_devops__ping';
const ALLOW = ['--allowedTools', `Skill,Task,Agent,${TOOL}`];
const SECRET = 'zanzibar-42';

let collective: Collective;
let machine: TempHome;
beforeAll(async () => {
  collective = await Collective.start();
  machine = await collective.machine('desk', DEVOPS);
  await collective.publish('base-memory-tools', { args: ['--all'] });
  await collective.publish('devops-essentials', { args: ['--groups', 'orchestrators'] });
  await hvOk(machine, ['sync']);
});
afterAll(() => collective?.close());

const folder = () => join(machine.home, '.claude', 'plugins', '.haivemind', 'usage');

/** What the hub says: `PLUGIN kind component` → uses. */
async function counted(): Promise<Record<string, number>> {
  const token = collective.hub.adminToken ?? '';
  const answer = await ask(collective.hub.url, 'GET', '/api/usage?by=component', { token });
  const rows = answer.expect(200).rows as { plugin: string; kind: string; component: string; uses: number }[];
  return Object.fromEntries(rows.map((r) => [`${r.plugin} ${r.kind} ${r.component}`, r.uses]));
}

const STEPS = [
  { tool: 'Skill', input: { skill: 'devops-essentials:incident-response' } },
  { tool: 'Task', input: { description: SECRET, prompt: SECRET, subagent_type: 'devops-essentials:security-auditor' } },
  { text: SECRET },
  { tool: TOOL, input: { note: SECRET } },
  { text: 'done' },
];
const ONE_ROUND = {
  'base-memory-tools command note': 1,
  'devops-essentials command deploy': 1,
  'devops-essentials skill incident-response': 1,
  'devops-essentials agent security-auditor': 1,
  'devops-essentials mcp devops/ping': 1,
};

describe('what a session uses', () => {
  it('two commands, one skill, one agent and one tool are exactly those counts after the next sync', async () => {
    await scriptedSession(machine, [{ text: 'ok' }], { prompt: `/base-memory-tools:note ${SECRET}`, extraArgs: ALLOW });
    const session = await scriptedSession(machine, STEPS, {
      prompt: `/devops-essentials:deploy ${SECRET}`,
      extraArgs: ALLOW,
    });
    expect(session.toolResults.map((r) => r.isError)).toEqual([false, false, false]);
    // No model sees the tool that counts.
    expect(session.init.tools.filter((t) => t.includes('count'))).toEqual([]);
    await hvOk(machine, ['sync']);
    expect(await counted()).toEqual(ONE_ROUND);
    const { waiting, sent } = await hvOk(machine, ['usage']);
    expect(waiting).toEqual([]);
    expect(sent.counts.length).toBeGreaterThan(0);
    // Names and numbers: nothing of what was typed or handed over.
    for (const name of await readdir(folder()))
      expect(await readFile(join(folder(), name), 'utf8'), name).not.toContain(SECRET);
  });

  it('survives a SIGKILL of the client and its servers before the sync, and being sent twice', async () => {
    const model = await scriptedModel([...STEPS.slice(0, 4), () => new Promise(() => {})]);
    const { spawn } = await import('node:child_process');
    const args = ['-p', `/devops-essentials:deploy ${SECRET}`, '--output-format', 'stream-json', '--verbose', ...ALLOW];
    const env = clientEnv(machine, { ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'sk-ant-api03-not-a-real-key' });
    // A group of its own, so that the servers it started die in the same moment.
    const client = spawn(await claudeBinary(), args, { cwd: machine.project, env, stdio: 'ignore', detached: true });
    try {
      const files = async () =>
        (await Promise.all((await readdir(folder())).map((name) => readFile(join(folder(), name), 'utf8')))).join('\n');
      await expect.poll(files).toMatch(/session-?.*"component":"devops\/ping"|"component":"devops\/ping"/);
      await expect.poll(async () => (await hvOk(machine, ['usage'])).waiting.length).toBe(4);
    } finally {
      process.kill(-(client.pid ?? 0), 'SIGKILL');
      await model.close();
    }
    const before = await readdir(folder());
    const kept = await Promise.all(before.map(async (name) => [name, await readFile(join(folder(), name))] as const));
    await hvOk(machine, ['sync']);
    const twice = Object.fromEntries(
      Object.entries(ONE_ROUND).map(([key, n]) => [key, key.startsWith('devops') ? n + 1 : n]),
    );
    expect(await counted()).toEqual(twice);
    // A crash before the note that it was told: the same files go once more.
    await mkdir(folder(), { recursive: true });
    for (const [name, bytes] of kept) await writeFile(join(folder(), name), bytes);
    expect((await hvOk(machine, ['usage'])).waiting).toHaveLength(4);
    await hvOk(machine, ['sync']);
    expect(await counted()).toEqual(twice);
    // The session is over and told: nothing of it stays.
    expect((await readdir(folder())).filter((name) => name.startsWith('session-'))).toEqual([]);
  });

  it('is not counted where plugins.usage is false', async () => {
    await hvOk(machine, ['config', 'set', 'usage', 'false']);
    const before = await counted();
    await scriptedSession(machine, [{ text: 'ok' }], { prompt: '/base-memory-tools:note x', extraArgs: ALLOW });
    expect(await hvOk(machine, ['usage'])).toMatchObject({ counting: false, waiting: [] });
    await hvOk(machine, ['sync']);
    expect(await counted()).toEqual(before);
    await hvOk(machine, ['config', 'unset', 'usage']);
  });
});
