// The bare /hv-plugin in a real session: its own allowed-tools grant the call, nothing else does.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import type { TempHome } from '../support/temp-home.ts';
import type { ModelRequest, ScriptedStep } from './harness/scripted-model.ts';
import { scriptedSession } from './harness/with-model.ts';

const LIST = 'mcp__plugin_haivemind-core_haivemind__list_plugins';

let collective: Collective;
let machine: TempHome;
beforeAll(async () => {
  collective = await Collective.start();
  machine = await collective.machine('desk');
  await collective.publish('base-memory-tools', { args: ['--groups', 'orchestrators'] });
});
afterAll(() => collective?.close());

/** Says what the last tool call answered, as a model would. */
function repeatLastResult({ messages }: ModelRequest): { text: string } {
  const blocks = messages.flatMap(({ content }) => (Array.isArray(content) ? content : []));
  const last = blocks.findLast((block: { type: string }) => block.type === 'tool_result') as { content: unknown };
  return { text: `Found: ${JSON.stringify(last.content)}` };
}
const LIST_STEPS: ScriptedStep[] = [{ tool: LIST, input: {} }, repeatLastResult];

it('/hv-plugin list may call list_plugins and answers with what the registry holds', async () => {
  const session = await scriptedSession(machine, LIST_STEPS, { prompt: '/hv-plugin list' });
  expect(session.init.slash_commands).toContain('hv-plugin');
  expect(session.init.mcp_servers).toContainEqual(
    expect.objectContaining({ name: 'plugin:haivemind-core:haivemind', status: 'connected' }),
  );
  // The client expanded the command: the model was told of the tool and given the argument.
  const told = JSON.stringify(session.requests[0]?.messages);
  expect(told).toContain('list_plugins');
  expect(session.toolUses.map((use) => use.name)).toEqual([LIST]);
  expect(session.result.permission_denials ?? []).toEqual([]);
  expect(session.toolResults.map((result) => result.isError)).toEqual([false]);
  for (const name of ['haivemind-core', 'base-memory-tools']) expect(session.result.result).toContain(name);
});

it('the namespaced command grants the same', async () => {
  const session = await scriptedSession(machine, LIST_STEPS, { prompt: '/haivemind-core:hv-plugin list' });
  expect(session.toolResults.map((result) => result.isError)).toEqual([false]);
});

it('without the command the same call is denied', async () => {
  const session = await scriptedSession(machine, LIST_STEPS, { prompt: 'list the plugins' });
  expect(session.toolResults.map((result) => result.isError)).toEqual([true]);
  expect(session.result.permission_denials?.map((denial) => denial.tool_name)).toEqual([LIST]);
});
