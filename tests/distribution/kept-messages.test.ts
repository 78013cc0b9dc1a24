// What happened on a machine without its hub is told until the hub has heard it: a hub in trouble undoes nothing.
import { rename, rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HubClient } from '../../server/src/client/hub/hub-client.ts';
import { removePlugin } from '../../server/src/client/install/remove.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { type ErrorCode, HaiveError } from '../../server/src/domain/errors.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { ask, publish, type TestHub, testHub } from '../hub/support.ts';
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
const syncAnswered = (code: ErrorCode, ...also: string[]) =>
  syncMachine(m.ctx, {
    mode: 'agent',
    through: (hub): HubClient => ({
      ...hub,
      call: (name, options) => {
        if (name === 'uninstall' || also.includes(name)) throw new HaiveError(code, 'not now');
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

describe('what the hub revokes while it does not hear of a removal', () => {
  beforeEach(async () => {
    await publish(t.url, t.admin, { name: 'bad' });
    await publish(t.url, t.admin, { name: 'good' });
    // The removal waits; these come all the same, as they do when the hub takes nothing any more.
    const { spool } = m.ctx.machine.paths;
    await rename(spool, `${spool}-aside`);
    await syncMachine(m.ctx, { mode: 'explicit', only: ['bad', 'good'] });
    await rm(spool, { recursive: true, force: true });
    await rename(`${spool}-aside`, spool);
    expect(await names()).toEqual(['bad', 'good']);
    const url = '/api/plugins/plugin_bad_1.0.0/revoke';
    (await ask(t.url, 'POST', url, { token: t.admin, body: { reason: 'leaks' } })).expect(200);
    await publish(t.url, t.admin, { name: 'good', version: '1.1.0' });
  });

  it.each(['INTERNAL', 'DATABASE_UNAVAILABLE'] as const)('goes at once where it answers %s', async (code) => {
    await expect(syncAnswered(code)).rejects.toMatchObject({ code });
    const { plugins } = await readReceipts(m.ctx.machine);
    // And nothing else happens.
    expect(Object.values(plugins).map((p) => `${p.name} ${p.version}`)).toEqual(['good 1.0.0']);
    const { json } = await ask(t.url, 'GET', '/api/revocations', { token: t.admin });
    expect(json.revocations).toMatchObject([{ holders: [{ machine: 'm1', confirmed_at: expect.any(String) }] }]);
  });

  it('goes for good: a report of it that is lost too is sent with the next sync', async () => {
    await expect(syncAnswered('INTERNAL', 'report')).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await names()).toEqual(['good']);
    await sync();
    expect(await names()).toEqual(['good']);
    const { json } = await ask(t.url, 'GET', '/api/revocations', { token: t.admin });
    expect(json.revocations).toMatchObject([{ holders: [{ machine: 'm1', confirmed_at: expect.any(String) }] }]);
  });
});
