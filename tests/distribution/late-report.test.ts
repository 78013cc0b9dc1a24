// Two processes tell what is here; the one that looked first tells last. What the hub keeps is what is so.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openClient } from '../../server/src/client/context.ts';
import type { HubClient } from '../../server/src/client/hub/hub-client.ts';
import { ask as askHub } from '../../server/src/client/hub/registry.ts';
import { removePlugin } from '../../server/src/client/install/remove.ts';
import { sendReport } from '../../server/src/client/report/index.ts';
import { HaiveError } from '../../server/src/domain/errors.ts';
import { ask, publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

let t: TestHub;
let m: RealClient;
let now: number;
beforeEach(async () => {
  now = Date.now();
  t = await testHub('sqlite');
  for (const name of ['aa', 'bb']) await publish(t.url, t.admin, { name });
  m = await realClient(t.url, t.hub.joinToken, 'm1', { clock: () => new Date(now) });
});
afterEach(async () => {
  await m.remove();
  await t.close();
});

const atHub = async () => {
  const { json } = await ask(t.url, 'GET', '/api/machines/m1', { token: t.admin });
  return (json.plugins as { name: string }[]).map((p) => p.name);
};

/** A hub at which something happens before the first report that is on its way arrives. @returns how many were sent */
async function reportsAround(happens: () => Promise<void>, about: Parameters<typeof sendReport>[2] = {}) {
  let sent = 0;
  const late = (hub: HubClient): HubClient => ({
    ...hub,
    call: async (name, options) => {
      if (name === 'report' && sent++ === 0) await happens();
      return hub.call(name, options);
    },
  });
  await askHub(m.ctx, 'machine', (hub) => sendReport(m.ctx, late(hub), about));
  return sent;
}

const removeElsewhere = async (ms: number) => {
  now += ms;
  await removePlugin(await openClient(m.ctx.env, { clock: () => new Date(now) }), 'bb');
  expect(await atHub()).toEqual(['aa']);
};

it('a report that was overtaken is read again, and does not bring back what is gone', async () => {
  expect(await reportsAround(() => removeElsewhere(10))).toBe(2);
  expect(await atHub()).toEqual(['aa']);
  now += 10;
  expect(await reportsAround(async () => undefined)).toBe(1);
});

it.each([
  ['of one plugin', { only: ['bb'] }],
  ['that had read it back', { readBack: ['aa', 'bb'] }],
])('so is one %s', async (_, about) => {
  expect(await reportsAround(() => removeElsewhere(10), about)).toBe(2);
  expect(await atHub()).toEqual(['aa']);
});

it('a clock that was set back by days keeps nothing from being told', async () => {
  now -= 3 * 24 * 3600_000;
  expect(await reportsAround(async () => undefined)).toBe(2);
  await removeElsewhere(-1000);
});

it('a refusal that was overtaken is told no more: the plan is followed since', async () => {
  const refused = new HaiveError('PLAN_REPLAYED', 'old');
  await expect(reportsAround(() => removeElsewhere(10), { refused })).rejects.toMatchObject({
    code: 'REPORT_OUTDATED',
  });
  const { json } = await ask(t.url, 'GET', '/api/machines/m1', { token: t.admin });
  expect(json.refused).toBeNull();
});

it('a refusal is told also by a clock that was set back', async () => {
  now -= 3 * 24 * 3600_000;
  const refused = new HaiveError('PLAN_REPLAYED', 'old');
  expect(await reportsAround(async () => undefined, { refused })).toBe(2);
  const { json } = await ask(t.url, 'GET', '/api/machines/m1', { token: t.admin });
  expect(json.refused).toMatchObject({ code: 'PLAN_REPLAYED' });
});
