// Holds that machines report are of plugins and versions that there can be.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { namedOverrides } from '../../server/src/storage/migrations/0140-named-overrides.ts';
import { setOverride } from '../../server/src/storage/queries/overrides.ts';
import { asking } from './asking.ts';
import { ask, ENGINES, type TestHub, testHub } from './support.ts';

type Machine = Awaited<ReturnType<TestHub['machine']>>;

describe.each(ENGINES)('a hold that a machine reports, on %s', (engine) => {
  let t: TestHub;
  beforeAll(async () => {
    t = await testHub(engine);
  });
  afterAll(() => t?.close());

  const { get, report } = asking(() => t);

  const overrides = async (machine: Machine) =>
    (await get(`/api/machines/${machine.id}`, t.admin)).expect(200).overrides as { name: string; range: string }[];
  const good = { name: 'held-here', version: '1.0.0' };

  it('is of a plugin and one exact version, or the report is refused whole', async () => {
    const holder = await t.machine('holder');
    const plugins = [{ name: 'along', version: '1.0.0', digest: 'd', state: 'verified' }];
    const wrong: [{ name: string; version: string }, string][] = [
      [{ ...good, name: '__proto__' }, 'NAME_INVALID'],
      [{ ...good, name: 'constructor' }, 'NAME_RESERVED'],
      [{ ...good, name: 'a'.repeat(5000) }, 'NAME_INVALID'],
      [{ ...good, name: 'x/y' }, 'NAME_INVALID'],
      [{ ...good, version: '<script>' }, 'VERSION_INVALID'],
      [{ ...good, version: '^1.0.0' }, 'VERSION_INVALID'],
    ];
    for (const [hold, code] of wrong) {
      expect((await report(holder.token, { plugins, holds: [good, hold] })).code, hold.name).toBe(code);
    }
    const seen = (await get(`/api/machines/${holder.id}`, t.admin)).expect(200);
    expect([seen.overrides, seen.plugins]).toEqual([[], []]);
    (await report(holder.token, { plugins, holds: [good] })).expect(200);
    expect(await overrides(holder)).toMatchObject([{ name: 'held-here', kind: 'hold', range: '1.0.0' }]);
    (await ask(t.url, 'DELETE', '/api/machines/me/overrides/held-here', { token: holder.token })).expect(200);
    expect(await overrides(holder)).toEqual([]);
  });

  it('goes where an older hub took it down under a name that no plugin can have', async () => {
    const holder = await t.machine('held-long-ago');
    const { store } = t.hub.context;
    for (const name of ['__proto__', 'x/y <b>', 'a'.repeat(5000), 'held-here']) {
      const hold = { machineId: holder.id, name, kind: 'hold' as const, range: '1.0.0', forceNonce: null };
      const by = { byOperator: false, by: 'held-long-ago', at: new Date().toISOString() };
      await store.transact((tx) => setOverride(tx, { ...hold, ...by }));
    }
    await store.transact((tx) => namedOverrides.up(tx));
    expect(await overrides(holder)).toMatchObject([{ name: 'held-here' }]);
  });
});
