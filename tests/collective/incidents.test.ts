// Incidents at a hub: what is told to the others, also where a step was lost on the way.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { announceIncident, findIncident, recordIncident } from '../../server/src/client/collective/incidents.ts';
import type { ClientContext } from '../../server/src/client/context.ts';
import { joinedMachine } from '../cli/scripted-hub.ts';
import { ask, type TestHub, testHub } from '../hub/support.ts';
import { memoryServer } from './memory-server-stand-in.ts';

const ID = 'INC-20260301-checkout';
const START = { action: 'start', severity: 'P1', text: 'Checkout answers 500' } as const;
const HOUR_MS = 3600_000;

let now: number;
let t: TestHub;
const machines: Awaited<ReturnType<typeof joinedMachine>>[] = [];
beforeEach(async () => {
  now = Date.parse('2026-03-01T10:00:00Z');
  t = await testHub('sqlite', { deps: { clock: () => new Date(now++) } });
});
afterEach(async () => {
  for (const m of machines.splice(0)) await m.remove();
  await t.close();
});

async function machine(name: string): Promise<ClientContext> {
  const { id, token } = await t.machine(name);
  const m = await joinedMachine({ url: t.url });
  machines.push(m);
  m.ctx.config = { ...m.ctx.config, token, machine: { id, name } };
  return m.ctx;
}

async function told(): Promise<string[]> {
  const answer = await ask(t.url, 'GET', '/api/collective/broadcasts?limit=50', { token: t.admin });
  return (answer.expect(200).broadcasts as { content: string }[]).map((b) => b.content).reverse();
}

it('a start that was not announced at once is announced with the next entry, whoever makes it, once', async () => {
  const [a, b] = [await machine('a'), await machine('b')];
  await recordIncident(a, ID, START);
  await recordIncident(b, ID, { action: 'update', text: 'Seen here, too' });
  const announced = [await announceIncident(b, ID), await announceIncident(a, ID)];
  expect(announced).toEqual([`${ID} P1 started: Checkout answers 500`, null]);
  await recordIncident(a, ID, { action: 'update', severity: 'P3', text: 'Half is back\n' });
  await recordIncident(b, ID, { action: 'update', text: 'Here as well' });
  expect(await announceIncident(b, ID)).toBe(`${ID} P3 is now P3 (was P1): Half is back`);
  expect(await announceIncident(a, ID)).toBeNull();
  expect(await told()).toHaveLength(2);
});

it('what was announced is not announced again once its broadcast has expired', async () => {
  const a = await machine('a');
  await recordIncident(a, ID, START);
  await announceIncident(a, ID);
  now += 80 * HOUR_MS;
  await recordIncident(a, ID, { action: 'update', text: 'Still the same' });
  expect(await announceIncident(a, ID)).toBeNull();
});

it('the same start or end, recorded again after its answer was lost, is there once and answered as the first time', async () => {
  const a = await machine('a');
  const first = await recordIncident(a, ID, START);
  expect(await recordIncident(a, ID, START)).toEqual(first);
  const other = { ...START, text: 'Search is slow' };
  await expect(recordIncident(a, ID, other)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  await expect(recordIncident(a, ID, { ...START, severity: 'P2' })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  const end = { action: 'resolve', text: ' Rolled back to 41' } as const;
  const ended = await recordIncident(a, ID, end);
  expect(ended).toMatchObject({ status: 'resolved', timeline: [{ action: 'start' }, { action: 'resolve' }] });
  expect(await recordIncident(a, ID, end)).toEqual(ended);
  await expect(recordIncident(a, ID, { ...end, text: 'Again' })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
});

it('is kept at the hub, also where the memories are kept at a memory server', async () => {
  const server = await memoryServer([]);
  try {
    const a = await machine('a');
    a.config.memory_server = server.url;
    expect(await recordIncident(a, ID, START)).toMatchObject({ status: 'open', severity: 'P1' });
    expect(await findIncident(await machine('b'), ID)).toMatchObject({ title: START.text });
    expect(server.rows).toEqual([]);
  } finally {
    await server.close();
  }
});
