// /hv-plugin for somebody who mistypes, has no hub, has no rights, or asks for what there is not: the answer says what to do next.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { installCore } from './harness/claude-plugin.ts';
import type { ScriptedStep } from './harness/scripted-model.ts';
import { scriptedSession } from './harness/with-model.ts';

const tool = (name: string): string => `mcp__plugin_haivemind-core_haivemind__${name}`;
const PUBLISHED = ['extra-tools', 'elastic-basics'];

let collective: Collective;
let member: TempHome;
let alone: TempHome;
beforeAll(async () => {
  collective = await Collective.start();
  member = await collective.machine('desk');
  for (const name of PUBLISHED) {
    await hvOk(collective.operator, ['create', name]);
    await hvOk(collective.operator, ['publish', `./${name}`, '--groups', 'nowhere']);
  }
  // Installed by the stock client, joined to nothing.
  alone = await tempHome('alone');
  await installCore(alone);
});
afterAll(async () => {
  await alone?.remove();
  await collective?.close();
});

/** What the model is told of the command, and what the tool answers. */
async function ask(home: TempHome, prompt: string, name: string, input: Record<string, unknown>) {
  const steps: ScriptedStep[] = [{ tool: tool(name), input }, { text: 'done' }];
  const session = await scriptedSession(home, steps, { prompt });
  expect(session.result.permission_denials ?? []).toEqual([]);
  const [answer] = session.toolResults;
  return { told: JSON.stringify(session.requests[0]?.messages), error: answer?.isError, text: answer?.text ?? '' };
}

describe('a mistyped word', () => {
  it('reaches the model with the words that exist and what to do with a near one', async () => {
    const session = await scriptedSession(member, [{ text: 'done' }], { prompt: '/hv-plugin instal extra-tools' });
    const told = JSON.stringify(session.requests[0]?.messages);
    expect(told).toContain('/hv-plugin instal extra-tools');
    expect(told).toContain('one or two letters off');
    for (const word of [
      'list',
      'search',
      'info',
      'install',
      'update',
      'remove',
      'create',
      'publish',
      'sync',
      'rollback',
      'why',
    ])
      expect(told).toMatch(new RegExp(`\\| \`${word}`));
  });

  it('of hv is answered with the near one', async () => {
    expect((await hv(member, ['instal', 'extra-tools'])).stderr).toMatch(/^USAGE: .*Did you mean install\?/);
  });
});

it.each([
  ['info', 'plugin_info', 'extra-tolls', /^PLUGIN_NOT_FOUND: .*Did you mean extra-tools\?/],
  ['install', 'install_plugin', 'elastic', /^PLUGIN_NOT_FOUND: .*Did you mean elastic-basics\?/],
  ['remove', 'remove_plugin', 'haivemind-cor', /^NOT_INSTALLED: .*Did you mean haivemind-core\?/],
  ['info', 'plugin_info', 'quite-another-thing', /^PLUGIN_NOT_FOUND: .*Run `hv list` or `hv search WORDS`/],
])('/hv-plugin %s of what there is not: %s %s', async (word, name, plugin, answer) => {
  const { told, error, text } = await ask(member, `/hv-plugin ${word} ${plugin}`, name, { plugin_id: plugin });
  expect([error, text]).toEqual([true, expect.stringMatching(answer)]);
  expect(told).toContain('ask whether X is meant');
});

it('has no rights: the missing role is named, and who gives it', async () => {
  await hvOk(member, ['create', 'mine']);
  const published = await ask(member, '/hv-plugin publish ./mine', 'register_plugin', { plugin_path: './mine' });
  expect([published.error, published.text]).toEqual([true, expect.stringMatching(/^FORBIDDEN: .*\. .+/)]);
  expect(published.told).toContain('say which role is missing');
  const others = { plugin_id: 'extra-tools', target_machines: ['elsewhere'] };
  const everywhere = await ask(member, '/hv-plugin install extra-tools --machines elsewhere', 'install_plugin', others);
  expect([everywhere.error, everywhere.text]).toEqual([true, expect.stringMatching(/^FORBIDDEN: /)]);
  await rm(join(member.project, 'mine'), { recursive: true });
});

it.each([
  ['list', 'list_plugins', {}],
  ['install x', 'install_plugin', { plugin_id: 'x' }],
  ['sync', 'sync_plugins', {}],
  ['why x', 'explain_plugin', { plugin_id: 'x' }],
])('has no hub: /hv-plugin %s', async (words, name, input) => {
  const { told, error, text } = await ask(alone, `/haivemind-core:hv-plugin ${words}`, name, input);
  expect([error, text]).toEqual([true, expect.stringMatching(/^(HUB_NOT_CONFIGURED|NOT_JOINED): .*(join|hv login)/)]);
  expect(told).toContain('paste the join line');
});

it('has a hub that is away', async () => {
  const other = await Collective.start();
  const home = await other.machine('left-behind');
  await other.hub.stop();
  try {
    const { told, error, text } = await ask(home, '/hv-plugin update', 'sync_plugins', {});
    expect([error, text]).toEqual([true, expect.stringMatching(/^HUB_UNREACHABLE: .*\. .+/)]);
    expect(told).toContain('installed plugins keep working');
  } finally {
    await other.close();
  }
});

it('gives bulk work to the coordinator, whose tools work', async () => {
  const agent = 'haivemind-core:haivemind-coordinator';
  const { init, requests } = await scriptedSession(member, [{ text: 'done' }], { prompt: '/hv-plugin list' });
  const names = (requests[0]?.tools ?? []).map((t) => t.name);
  const task = ['Agent', 'Task'].find((name) => names.includes(name)) ?? 'Task';
  expect(init.agents).toContain(agent);
  const steps: ScriptedStep[] = [
    {
      tool: task,
      input: { description: 'bulk', prompt: 'Say who has what', subagent_type: agent, run_in_background: false },
    },
    { tool: tool('list_plugins'), input: {} },
    { text: '| plugin | state |\n| extra-tools | published |' },
    { text: 'done' },
  ];
  const session = await scriptedSession(member, steps, { prompt: '/hv-plugin info a b c d e' });
  expect(JSON.stringify(session.requests[0]?.messages)).toContain('haivemind-coordinator');
  expect(JSON.stringify(session.requests[1]?.system)).toContain('Report one table');
  expect(JSON.stringify(session.requests)).toContain('extra-tools');
  const last = JSON.stringify(session.requests.at(-1)?.messages);
  expect(last).toContain('| extra-tools | published |');
});
