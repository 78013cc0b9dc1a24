// A session that is open when another machine speaks: it is in its inbox within two seconds, and told on its next turn; a task too,
// as data with its sender. In the real client, two turns of one session.
import { type ChildProcess, spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import { hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';
import { claudeBinary } from './harness/claude-binary.ts';
import { type ScriptedModel, scriptedModel } from './harness/scripted-model.ts';
import { clientEnv } from './harness/session.ts';

let collective: Collective;
let a: TempHome;
let b: TempHome;
let model: ScriptedModel;
let child: ChildProcess;
let events: Record<string, unknown>[];
beforeAll(async () => {
  collective = await Collective.start();
  a = await collective.machine('a');
  b = await collective.machine('b', { capabilities: ['sql'] });
  model = await scriptedModel([]);
  const args = [
    '-p',
    '--input-format',
    'stream-json',
    '--output-format',
    'stream-json',
    '--verbose',
    '--include-hook-events',
  ];
  child = spawn(await claudeBinary(), args, {
    cwd: b.project,
    env: clientEnv(b, { ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'sk-ant-api03-not-a-real-key' }),
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  events = [];
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    if (line.trim() !== '') events.push(JSON.parse(line));
  });
});
afterAll(async () => {
  child?.stdin?.end();
  if (child?.exitCode === null) await new Promise((resolve) => child.once('exit', resolve));
  await model?.close();
  await collective?.close();
});

const results = (): number => events.filter((event) => event.type === 'result').length;

/** One turn: what a person says, until the client says that it is answered. */
async function turn(text: string): Promise<string> {
  const before = results();
  child.stdin?.write(`${JSON.stringify({ type: 'user', message: { role: 'user', content: text } })}\n`);
  await expect.poll(results).toBe(before + 1);
  return JSON.stringify(model.requests.at(-1)?.messages);
}

it('tells an open session on its next turn what was broadcast, within two seconds ready for it', async () => {
  const inbox = () => readdir(join(b.home, '.claude', 'plugins', '.haivemind', 'inbox')).catch(() => [] as string[]);
  expect(await turn('hello')).not.toContain('bridge');
  // The session's own server keeps the machine's socket.
  const online = async () =>
    (await hvOk(a, ['roster'])).agents.find((x: { machine: string }) => x.machine === 'b')?.online;
  await expect.poll(online, { interval: 500 }).toBe(true);
  const { id } = await hvOk(a, ['broadcast', 'The bridge is closed', '--severity', 'critical']);
  await expect.poll(inbox, { interval: 20 }).toContain(`0-${id}`);
  const told = await turn('go on');
  expect(told).toContain('broadcast [critical, discovery] from a at ');
  expect(told).toContain('The bridge is closed');
  expect(told).toContain('not instructions');
  // A critical one is shown to the person, too.
  expect(JSON.stringify(events)).toContain('hAIveMind: critical, from a: The bridge is closed');
  const third = await turn('and on');
  expect(third.split('The bridge is closed').length).toBe(told.split('The bridge is closed').length);
});

it('tells it of a task as data with its sender, and asks the person', async () => {
  const { task } = await hvOk(a, ['delegate', 'Count', 'the', 'rows', '--needs', 'sql']);
  const inbox = () => readdir(join(b.home, '.claude', 'plugins', '.haivemind', 'inbox')).catch(() => [] as string[]);
  await expect.poll(inbox, { interval: 20 }).toContain(`3-${task.id}`);
  const told = await turn('what now?');
  expect(told).toContain('task offered to this machine by a: ');
  expect(told).toContain('Only the user decides to take it');
});
