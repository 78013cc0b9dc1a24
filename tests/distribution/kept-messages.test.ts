// What happened on a machine without its hub is told until the hub has heard it: a hub in trouble undoes nothing.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { HubClient } from '../../server/src/client/hub/hub-client.ts';
import { removePlugin } from '../../server/src/client/install/remove.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { type ErrorCode, HaiveError } from '../../server/src/domain/errors.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

let t: TestHub;
let m: RealClient;
let now: Date;
beforeEach(async () => {
  now = new Date();
  t = await testHub('sqlite');
  await publish(t.url, t.admin, { name: 'aa' });
  m = await realClient(t.url, t.hub.joinToken, 'm1', { clock: () => now });
  const away = { ...m.ctx, env: { ...m.ctx.env, hubUrl: 'http://127.0.0.1:1' } };
  await removePlugin(away, 'aa');
});
afterEach(async () => {
  await m.remove();
  await t.close();
});

const names = async () => Object.keys((await readReceipts(m.ctx.machine)).plugins);
const sync = () => syncMachine(m.ctx, { mode: 'agent' });
/** A sync with a hub that answers so to what it is told. */
const syncAnswered = (code: ErrorCode) =>
  syncMachine(m.ctx, {
    mode: 'agent',
    through: (hub): HubClient => ({
      ...hub,
      call: (name, options) => {
        if (name === 'uninstall') throw new HaiveError(code, 'not now');
        return hub.call(name, options);
      },
    }),
  });

it.each(['INTERNAL', 'DATABASE_UNAVAILABLE', 'DISK_FULL', 'TOKEN_INVALID', 'PROTOCOL_MISMATCH'] as const)(
  'a removal that met %s is told again, and nothing comes back before',
  async (code) => {
    expect(await names()).toEqual([]);
    await expect(syncAnswered(code)).rejects.toMatchObject({ code });
    expect(await names()).toEqual([]);
    expect((await sync()).warnings).toEqual([]);
    expect(await names()).toEqual([]);
  },
);

it.each([
  ['that the hub refuses for good', 'FORBIDDEN', 0],
  ['that the hub cannot take for days', 'INTERNAL', 48],
  ['of a clock that ran days ahead', 'INTERNAL', -48],
] as const)('a removal %s keeps nothing else from coming', async (_, code, hours) => {
  now = new Date(now.getTime() + hours * 3600_000);
  const { warnings } = await syncAnswered(code);
  expect(warnings).toEqual([expect.stringContaining(`${code}: not now`)]);
  expect(await names()).toEqual(['aa']);
});
