// What each room of queries keeps and finds, on both engines.
import { describe, expect, it } from 'vitest';
import { appendAudit, findAuditBreak, listAudit } from '../../../server/src/storage/queries/audit.ts';
import { installationCounts, recount } from '../../../server/src/storage/queries/installation-counts.ts';
import { installationsOf, replaceInstallations } from '../../../server/src/storage/queries/installations.ts';
import {
  deleteMachine,
  findMachine,
  insertMachine,
  listMachines,
  setMachineGroups,
  updateMachineFacts,
} from '../../../server/src/storage/queries/machines.ts';
import { nextCounter, setMeta, setMetaOnce } from '../../../server/src/storage/queries/meta.ts';
import { clearOverrides, listOverrides, setOverride } from '../../../server/src/storage/queries/overrides.ts';
import {
  findTokenByHash,
  insertToken,
  listTokens,
  revokeToken,
  touchTokens,
} from '../../../server/src/storage/queries/tokens.ts';
import { ENGINES } from '../engines.ts';
import { AT, machine, oneStore, store } from './one-store.ts';

describe.each(ENGINES)('queries on %s', (engine) => {
  oneStore(engine);

  it('keeps meta values and counters', async () => {
    await store.transact(async (tx) => {
      await setMeta(tx, 'a', '1');
      await setMeta(tx, 'a', '2');
      expect(await setMetaOnce(tx, 'a', '3')).toBe('2');
      expect(await setMetaOnce(tx, 'b', '4')).toBe('4');
      expect([await nextCounter(tx, 'c'), await nextCounter(tx, 'c')]).toEqual([1, 2]);
    });
  });

  it('finds tokens by hash, also revoked ones, and revokes once', async () => {
    await store.transact(async (tx) => {
      await insertToken(tx, { id: 't1', name: 'op', hash: 'h1', roles: ['operator'], createdAt: AT });
      await touchTokens(tx, ['t1'], AT);
    });
    expect(await findTokenByHash(store.read, 'h1')).toEqual({
      id: 't1',
      name: 'op',
      origin: null,
      roles: ['operator'],
      machineId: null,
      namePattern: null,
      createdAt: AT,
      expiresAt: null,
      lastUsedAt: AT,
      revokedAt: null,
    });
    expect(await findTokenByHash(store.read, 'h2')).toBeUndefined();
    expect(await store.transact((tx) => revokeToken(tx, 't1', AT))).toBe(true);
    expect(await store.transact((tx) => revokeToken(tx, 't1', AT))).toBe(false);
    expect((await listTokens(store.read))[0]?.revokedAt).toBe(AT);
  });

  it('pages machines by name, filters by group, and forgets one with all that hangs on it', async () => {
    await store.transact(async (tx) => {
      for (const n of ['c', 'a', 'b']) await insertMachine(tx, machine(`m${n}`, n));
      await setMachineGroups(tx, 'mb', []);
      await setOverride(tx, override('ma', 'p', 'pin'));
      await replaceInstallations(tx, 'ma', [{ name: 'p', version: '1.0.0', digest: 'd', state: 'verified' }], AT);
    });
    const names = async (query: { limit: number; after?: string; group?: string }) =>
      (await listMachines(store.read, query)).map((m) => m.name);
    expect(await names({ limit: 2 })).toEqual(['a', 'b']);
    expect(await names({ limit: 2, after: 'b' })).toEqual(['c']);
    expect(await names({ limit: 9, group: 'a' })).toEqual(['a', 'c']);
    expect(await findMachine(store.read, 'a')).toMatchObject({ id: 'ma', groups: ['a', 'b'], capabilities: ['x'] });
    expect(await store.transact((tx) => deleteMachine(tx, 'ma'))).toBe(true);
    expect(await store.transact((tx) => deleteMachine(tx, 'ma'))).toBe(false);
    expect(await listOverrides(store.read)).toEqual([]);
    expect(await installationsOf(store.read, 'ma')).toEqual([]);
  });

  it('replaces what a machine has, and keeps the time of what did not change', async () => {
    const report = (version: string, state: string) => ({ name: 'p', version, digest: 'd', state });
    const later = '2026-02-01T00:00:00.000Z';
    const replace = (rows: ReturnType<typeof report>[], at: string) =>
      store.transact((tx) => replaceInstallations(tx, 'm', rows, at));
    await store.transact((tx) => insertMachine(tx, machine('m', 'm')));
    await replace([report('1.0.0', 'verified')], AT);
    await replace([report('1.0.0', 'verified')], later);
    expect(await installationsOf(store.read, 'm')).toMatchObject([{ version: '1.0.0', updatedAt: AT }]);
    await replace([report('1.0.0', 'loaded')], later);
    expect(await installationsOf(store.read, 'm')).toMatchObject([
      { state: 'loaded', installedAt: AT, updatedAt: later },
    ]);
    await replace([report('2.0.0', 'failed')], later);
    expect(await installationsOf(store.read, 'm')).toMatchObject([{ version: '2.0.0' }]);
  });

  it('keeps count of the machines that have a plugin, whoever reports, fails or leaves', async () => {
    const row = (name: string, state = 'verified', version = '1.0.0') => ({ name, version, digest: 'd', state });
    const tell = (id: string, rows: ReturnType<typeof row>[], only?: string[]) =>
      store.transact(async (tx) => {
        await updateMachineFacts(tx, id, { lastSeen: AT });
        await replaceInstallations(tx, id, rows, AT, only === undefined ? {} : { only });
      });
    const counts = async () => {
      const kept = await installationCounts(store.read, ['p', 'q', 'none']);
      await store.transact(recount);
      expect(await installationCounts(store.read, ['p', 'q', 'none'])).toEqual(kept);
      return Object.fromEntries(kept);
    };
    for (const id of ['a', 'b', 'c']) await store.transact((tx) => insertMachine(tx, machine(id, id)));
    await Promise.all(['a', 'b', 'c'].map((id, i) => tell(id, i === 0 ? [row('q'), row('p')] : [row('p'), row('q')])));
    expect(await counts()).toEqual({ p: 3, q: 3 });
    await tell('a', [row('p', 'loaded', '2.0.0')], ['p']);
    await tell('b', [row('p', 'failed', '2.0.0')], ['p']);
    expect(await counts()).toEqual({ p: 2, q: 3 });
    // The same said twice at once counts once.
    await Promise.all([tell('a', [], ['q']), tell('a', [], ['q']), tell('c', [row('p'), row('p', 'failed', '2.0.0')])]);
    expect(await counts()).toEqual({ p: 2, q: 1 });
    await store.transact((tx) => deleteMachine(tx, 'b'));
    await store.transact((tx) => deleteMachine(tx, 'c'));
    expect(await counts()).toEqual({ p: 1 });
  });

  it('lets an install be held, and an exclusion replace both', async () => {
    const kinds = async () => (await listOverrides(store.read, 'm')).map((o) => o.kind);
    await store.transact((tx) => insertMachine(tx, machine('m', 'm')));
    await store.transact((tx) => setOverride(tx, override('m', 'p', 'install')));
    await store.transact((tx) => setOverride(tx, override('m', 'p', 'hold')));
    expect(await kinds()).toEqual(['hold', 'install']);
    await store.transact((tx) => setOverride(tx, override('m', 'p', 'exclude')));
    expect(await kinds()).toEqual(['exclude']);
    await store.transact((tx) => setOverride(tx, override('m', 'p', 'install')));
    expect(await kinds()).toEqual(['install']);
    expect(await store.transact((tx) => clearOverrides(tx, ['m'], 'p', { kinds: ['hold'] }))).toBe(0);
    expect(await store.transact((tx) => clearOverrides(tx, ['m'], 'p'))).toBe(1);
  });

  it('chains the audit, and finds where it was changed', async () => {
    const entry = (target: string) => ({ actor: 'me', action: 'test', target, data: { n: 1 } });
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => store.transact((tx) => appendAudit(tx, AT, entry(`t${i}`)))),
    );
    expect(await findAuditBreak(store.read)).toBeNull();
    expect((await listAudit(store.read, 5, 4)).map((r) => r.id)).toEqual([3, 2, 1]);
    await store.transact((tx) => tx.updateTable('audit').set({ actor: 'you' }).where('id', '=', 7).execute());
    expect(await findAuditBreak(store.read)).toBe(7);
    await store.transact((tx) => tx.deleteFrom('audit').where('id', '=', 3).execute());
    expect(await findAuditBreak(store.read)).toBe(3);
  });
});

function override(machineId: string, name: string, kind: 'install' | 'pin' | 'hold' | 'exclude') {
  return { machineId, name, kind, range: '*', forceNonce: null, byOperator: true, by: 'me', at: AT };
}
