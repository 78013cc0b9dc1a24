// The four example files of the design, published as they are printed there, at work in the real client.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Collective, DEVOPS } from '../support/collective.ts';
import { hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';
import { scriptedSession } from './harness/with-model.ts';

let collective: Collective;
let machine: TempHome;
const log = () => join(machine.project, 'logger.log');
const CORE_TOOL = 'mcp__plugin_haivemind-core_haivemind__list_plugins';

beforeAll(async () => {
  collective = await Collective.start();
  machine = await collective.machine('orchestrator-1', DEVOPS);
  await collective.publish('base-memory-tools', { args: ['--all'] });
  await collective.publish('devops-essentials');
  await hvOk(machine, ['sync']);
  await machine.fakeProgram('logger', `echo "$@: $(cat)" >> '${log()}'`);
  await machine.fakeProgram('kubectl', 'echo kubectl "$@"');
});
afterAll(() => collective.close());

it('the hook on kubectl fires, and on nothing else', async () => {
  const bash = (command: string) => ({ tool: 'Bash', input: { command, description: 'x' } });
  const { toolResults } = await scriptedSession(machine, [bash('ls'), bash('kubectl get pods'), { text: 'done' }], {
    extraArgs: ['--allowedTools', 'Bash'],
  });
  expect(toolResults.map((r) => r.isError)).toEqual([false, false]);
  expect(await readFile(log(), 'utf8')).toBe('-t haivemind: Kubernetes command executed\n');
});

it('the warning before rm -rf fires', async () => {
  await writeFile(join(machine.project, 'waste'), '');
  const step = { tool: 'Bash', input: { command: 'rm -rf waste', description: 'x' } };
  const { hooks } = await scriptedSession(machine, [step, { text: 'done' }], { extraArgs: ['--allowedTools', 'Bash'] });
  expect(hooks.filter((h) => h.event === 'PreToolUse').map((h) => h.stdout.trim())).toEqual([
    'WARNING: Destructive command detected',
  ]);
});

it("the command's grant covers the core's tools, which nothing else grants", async () => {
  const steps = [{ tool: CORE_TOOL, input: {} }, { text: 'done' }];
  const granted = await scriptedSession(machine, steps, { prompt: '/devops-essentials:deploy staging --dry-run' });
  expect(granted.toolResults.map((r) => r.isError)).toEqual([false]);
  expect(granted.toolResults[0]?.text).toContain('devops-essentials');
  expect(JSON.stringify(granted.requests[0]?.messages)).toContain('staging --dry-run');
  const bare = await scriptedSession(machine, steps, { prompt: 'go on' });
  expect(bare.toolResults.map((r) => r.isError)).toEqual([true]);
});

it('the agent and the skill are there', async () => {
  const { init } = await scriptedSession(machine);
  expect(init.agents).toContain('devops-essentials:security-auditor');
  expect(init.skills).toContain('devops-essentials:incident-response');
});
