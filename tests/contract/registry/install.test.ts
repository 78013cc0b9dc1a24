import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { desiredState } from '../../../server/src/domain/desired/desired-state.ts';
import { loadMachineFacts } from '../../../server/src/hub/machines/facts.ts';
import { loadCatalogue, loadRegistry } from '../../../server/src/hub/registry/snapshot.ts';
import {
  insertOverrides,
  listOverrides,
  type OverrideRecord,
  setOverridesOf,
} from '../../../server/src/storage/queries/overrides.ts';
import type { Tx } from '../../../server/src/storage/tables/index.ts';
import { ENGINES } from '../engines.ts';
import { operator, type PluginOptions, pack, startTestHub, type TestHub } from './test-hub.ts';

describe.each(ENGINES)('install, uninstall and overrides on %s', (engine) => {
  let t: TestHub;
  beforeEach(async () => {
    t = await startTestHub(engine);
  });
  afterEach(() => t.drop());

  const publish = async (name: string, version: string, groups: string[], options?: PluginOptions) => {
    await t.register(pack(name, version, options));
    await t.call('publish', { body: { plugin_id: `plugin_${name}_${version}`, target_groups: groups } });
  };
  const install = (id: string, body: object = {}, as = operator) => t.call('install', { as, params: { id }, body });
  const uninstall = (id: string, body: object = {}, as = operator) => t.call('uninstall', { as, params: { id }, body });
  const desired = async (machine: string) => {
    const state = desiredState(await loadRegistry(t.store), await loadMachineFacts(t.store.read, `m_${machine}`));
    return state.plugins.map((p) => `${p.name}@${p.version}`);
  };

  it('floats on latest and ranges, pins exact versions and ids', async () => {
    const m = await t.addMachine('m');
    await publish('p', '1.0.0', ['nobody']);
    await publish('p', '1.1.0', ['nobody']);
    await publish('p', '2.0.0-rc.1', ['nobody']);
    expect(await install('p')).toMatchObject({
      version: '1.1.0',
      pinned: false,
      machines: [{ machine: 'm', version: '1.1.0', problem: null }],
    });
    expect(await install('p@^1.0.0', {}, m)).toMatchObject({ version: '1.1.0', pinned: false });
    expect(await install('p', { version: '1.0.0' })).toMatchObject({ version: '1.0.0', pinned: true });
    expect(await desired('m')).toEqual(['p@1.0.0']);
    expect(await install('plugin_p_2.0.0-rc.1')).toMatchObject({ version: '2.0.0-rc.1', pinned: true });
    await expect(install('plugin_p_1.0.0', { version: '1.1.0' })).rejects.toMatchObject({ code: 'ID_MISMATCH' });
    await expect(install('p', { version: '^9.0.0' })).rejects.toMatchObject({ code: 'VERSION_NOT_FOUND' });
    await expect(install('p', { version: 'newest!' })).rejects.toMatchObject({ code: 'VERSION_INVALID' });
    await expect(install('nothing')).rejects.toMatchObject({ code: 'PLUGIN_NOT_FOUND' });
  });

  it('without targets reaches every machine that fits; named ones it says why not', async () => {
    await t.addMachine('able', ['web'], ['gpu']);
    await t.addMachine('unable', ['web']);
    await publish('p', '1.0.0', ['nobody'], { manifest: { haivemind: { required_capabilities: ['gpu'] } } });
    expect((await install('p')).machines).toEqual([{ machine: 'able', version: '1.0.0', problem: null }]);
    const named = await install('p', { target_machines: ['able', 'unable'] });
    expect(named.machines[1]).toMatchObject({ machine: 'unable', version: null });
    expect(named.machines[1]?.problem).toContain('gpu');
    const seq = await t.store.currentSeq();
    await expect(install('p', { target_machines: ['unable'] })).rejects.toMatchObject({ code: 'NOT_ELIGIBLE' });
    await expect(install('p', { target_machines: ['nowhere'] })).rejects.toMatchObject({ code: 'MACHINE_NOT_FOUND' });
    expect(await t.store.currentSeq()).toBe(seq);
  });

  it("lets a machine's token act on itself alone", async () => {
    const m = await t.addMachine('m');
    await t.addMachine('other');
    await publish('p', '1.0.0', ['nobody']);
    expect((await install('p', {}, m)).machines.map((x) => x.machine)).toEqual(['m']);
    expect((await install('p', { target_machines: ['me'] }, m)).machines.map((x) => x.machine)).toEqual(['m']);
    for (const target of ['other', 'm_other', 'nowhere']) {
      await expect(install('p', { target_machines: [target] }, m)).rejects.toMatchObject({ code: 'FORBIDDEN' });
      await expect(uninstall('p', { target_machines: [target] }, m)).rejects.toMatchObject({ code: 'FORBIDDEN' });
      const params = { machine: target, name: 'p' };
      await expect(t.call('setOverride', { as: m, params, body: { kind: 'exclude' } })).rejects.toMatchObject({
        code: 'FORBIDDEN',
      });
      await expect(t.call('clearOverride', { as: m, params })).rejects.toMatchObject({ code: 'FORBIDDEN' });
    }
    expect(await desired('other')).toEqual([]);
  });

  it('obeys the status of a version', async () => {
    const m = await t.addMachine('m');
    await t.register(pack('p', '1.0.0'));
    await expect(install('p')).rejects.toMatchObject({
      code: 'VERSION_NOT_FOUND',
      message: 'No version of p is published',
      hint: expect.stringContaining('`hv publish p@1.0.0`'),
    });
    await expect(install('p', { version: '1.0.0' }, m)).rejects.toMatchObject({ code: 'STATUS_FORBIDS' });
    expect(await install('p', { version: '1.0.0' })).toMatchObject({ machines: [{ version: '1.0.0' }] });
    await publish('p', '1.1.0', ['nobody']);
    await t.call('setStatus', { params: { id: 'p' }, body: { status: 'deprecated', reason: 'use q' } });
    const reply = await install('p');
    expect([reply.version, reply.warnings]).toEqual(['1.1.0', ['p@1.1.0 is deprecated: use q']]);
    await t.call('setStatus', { params: { id: 'p' }, body: { status: 'yanked' } });
    await expect(install('p', { version: '1.1.0' })).rejects.toMatchObject({ code: 'STATUS_FORBIDS' });
    await t.call('remove', { params: { id: 'p' } });
    await expect(install('p', { version: '1.0.0' })).rejects.toMatchObject({ code: 'STATUS_FORBIDS' });
  });

  it('says that only prereleases are published, and how one is had', async () => {
    await t.addMachine('m');
    for (const version of ['1.0.0-beta.1', '1.0.0-beta.2']) await publish('p', version, ['nobody']);
    await expect(install('p')).rejects.toMatchObject({
      code: 'VERSION_NOT_FOUND',
      message: 'Only prereleases of p are published',
      hint: expect.stringContaining('p@1.0.0-beta.2'),
    });
    await expect(install('p', { version: '^1.0.0' })).rejects.toMatchObject({
      message: 'No published version of p is in ^1.0.0',
    });
    expect(await install('p', { version: '1.0.0-beta.2' })).toMatchObject({ version: '1.0.0-beta.2' });
  });

  it('gives each forced reinstall a nonce of its own, and keeps it otherwise', async () => {
    await t.addMachine('m');
    await publish('p', '1.0.0', ['nobody']);
    const nonce = async () => (await listOverrides(t.store.read, 'm_m'))[0]?.forceNonce;
    await install('p');
    expect(await nonce()).toBeNull();
    await install('p', { force: true });
    const first = await nonce();
    expect(first).toBeTruthy();
    await install('p');
    expect(await nonce()).toBe(first);
    await install('p', { force: true });
    expect(await nonce()).not.toBe(first);
  });

  it('takes an explicit install away, and excludes what the groups would bring back', async () => {
    const m = await t.addMachine('m', ['web']);
    await publish('mine', '1.0.0', ['nobody']);
    await publish('ours', '1.0.0', ['web']);
    await install('mine', {}, m);
    expect(await desired('m')).toEqual(['mine@1.0.0', 'ours@1.0.0']);
    expect((await uninstall('mine', {}, m)).machines).toEqual(['m']);
    expect(await listOverrides(t.store.read, 'm_m')).toEqual([]);
    await uninstall('ours', {}, m);
    expect(await desired('m')).toEqual([]);
    expect(await listOverrides(t.store.read, 'm_m')).toMatchObject([{ kind: 'exclude', byOperator: false }]);
    await install('ours', {}, m);
    expect(await desired('m')).toEqual(['ours@1.0.0']);
    await expect(uninstall('nothing', {}, m)).rejects.toMatchObject({ code: 'PLUGIN_NOT_FOUND' });
  });

  it('does not take away what another desired plugin needs', async () => {
    const m = await t.addMachine('m', ['web']);
    await publish('base', '1.0.0', ['nobody']);
    await publish('top', '1.0.0', ['web'], { manifest: { dependencies: ['base'] } });
    expect(await desired('m')).toEqual(['base@1.0.0', 'top@1.0.0']);
    await expect(uninstall('base', {}, m)).rejects.toMatchObject({ code: 'DEPENDENT_INSTALLED' });
  });

  it('pins, holds, excludes and clears; an install lifts a hold', async () => {
    const m = await t.addMachine('m', ['web']);
    await publish('p', '1.0.0', ['web']);
    await publish('p', '2.0.0', ['web']);
    const params = { machine: 'me', name: 'p' };
    const set = (kind: 'pin' | 'hold' | 'exclude' | 'install', range = '*') =>
      t.call('setOverride', { as: m, params, body: { kind, range } });
    expect(await set('hold', '1.0.0')).toMatchObject({ name: 'p', kind: 'hold', range: '1.0.0', by: 'machine m' });
    expect(await desired('m')).toEqual(['p@1.0.0']);
    await install('p', {}, m);
    expect(await desired('m')).toEqual(['p@2.0.0']);
    await set('pin', '^1.0.0');
    expect(await desired('m')).toEqual(['p@1.0.0']);
    await set('exclude');
    expect(await desired('m')).toEqual([]);
    await t.call('clearOverride', { as: m, params });
    expect(await desired('m')).toEqual(['p@2.0.0']);
    await expect(set('hold', '^1.0.0')).rejects.toMatchObject({ code: 'VERSION_INVALID' });
    await expect(set('pin', 'nonsense!')).rejects.toMatchObject({ code: 'VERSION_INVALID' });
    await expect(
      t.call('setOverride', { params: { machine: 'nowhere', name: 'p' }, body: { kind: 'pin' } }),
    ).rejects.toMatchObject({ code: 'MACHINE_NOT_FOUND' });
  });

  it("keeps an operator's pin, hold and exclusion under a machine's own hold, and says when its order lifts them", async () => {
    const m = await t.addMachine('m', ['web']);
    for (const version of ['1.0.0', '1.1.0', '2.0.0']) await publish('p', version, ['web']);
    const params = { machine: 'm', name: 'p' };
    const set = (as: typeof operator, kind: 'pin' | 'hold' | 'exclude', range = '*') =>
      t.call('setOverride', { as, params, body: { kind, range } });
    const rows = async () =>
      (await listOverrides(t.store.read, 'm_m')).map((o) => `${o.kind} ${o.range}${o.byOperator ? ' op' : ''}`);
    for (const [kind, range] of [
      ['pin', '1.1.0'],
      ['pin', '^1.0.0'],
      ['hold', '1.1.0'],
    ] as const) {
      await set(operator, kind, range);
      await set(m, 'hold', '1.0.0');
      await set(m, 'hold', '1.0.0');
      expect(await rows()).toEqual(['hold 1.0.0', `pin ${range} op`]);
      expect(await desired('m')).toEqual(['p@1.0.0']);
      await t.call('clearOverride', { as: m, params, query: { kind: 'hold' } });
      expect(await desired('m')).toEqual(['p@1.1.0']);
    }
    // Neither its own word is there any more, nor may it take back an operator's.
    await set(operator, 'hold', '1.1.0');
    await t.call('clearOverride', { as: m, params });
    expect(await rows()).toEqual(['hold 1.1.0 op']);
    expect((await install('p', {}, m)).warnings).toEqual(['p was held at 1.1.0 here by op; that is lifted now']);
    expect(await desired('m')).toEqual(['p@2.0.0']);
    await set(operator, 'exclude');
    await set(m, 'hold', '1.0.0');
    expect(await desired('m')).toEqual([]);
    expect((await install('p', {}, m)).warnings).toEqual([
      'p was excluded from this machine by op; that is lifted now',
    ]);
    expect(await rows()).toEqual(['install *']);
    expect((await install('p', {}, m)).warnings).toEqual([]);
    // An operator knows what an operator orders, and says it last.
    await set(m, 'hold', '1.0.0');
    await set(operator, 'pin', '1.1.0');
    expect(await rows()).toEqual(['install *', 'pin 1.1.0 op']);
    expect((await install('p')).warnings).toEqual([]);
  });

  it("keeps an operator's pin, hold and exclusion under a machine's own removal", async () => {
    const m = await t.addMachine('m', ['web']);
    for (const version of ['1.0.0', '2.0.0']) await publish('p', version, ['web']);
    for (const version of ['1.0.0', '2.0.0']) await publish('q', version, ['nobody']);
    const set = (name: string, kind: 'pin' | 'hold' | 'exclude', range = '*') =>
      t.call('setOverride', { params: { machine: 'm', name }, body: { kind, range } });
    const rows = async () =>
      (await listOverrides(t.store.read, 'm_m')).map(
        (o) => `${o.name} ${o.kind} ${o.range}${o.byOperator ? ' op' : ''}`,
      );
    await set('p', 'pin', '1.0.0');
    await set('q', 'hold', '1.0.0');
    await install('q', { target_machines: ['m'] });
    await set('q', 'hold', '1.0.0');
    expect(await desired('m')).toEqual(['p@1.0.0', 'q@1.0.0']);
    for (const name of ['p', 'q']) await uninstall(name, {}, m);
    expect(await desired('m')).toEqual([]);
    expect(await rows()).toEqual(['p exclude *', 'p pin 1.0.0 op', 'q exclude *', 'q hold 1.0.0 op']);
    expect((await install('p', {}, m)).warnings).toEqual(['p was pinned to 1.0.0 here by op; that is lifted now']);
    await set('p', 'exclude');
    await uninstall('p', {}, m);
    expect(await rows()).toEqual(['p exclude * op', 'q exclude *', 'q hold 1.0.0 op']);
    // An operator's own removal says it anew.
    await uninstall('q', { target_machines: ['m'] });
    expect(await rows()).toEqual(['p exclude * op']);
  });

  it('takes the order of a set back for its own machine, but for what was said since', async () => {
    const m = await t.addMachine('m', ['web']);
    const n = await t.addMachine('n', ['web']);
    for (const name of ['p', 'q', 'r']) await publish(name, '1.0.0', ['web']);
    const set = (name: string, kind: 'pin' | 'exclude', range = '*') =>
      t.call('setOverride', { params: { machine: 'm', name }, body: { kind, range } });
    await set('p', 'pin', '^1.0.0');
    const before = await listOverrides(t.store.read, 'm_m');
    const order = () => t.call('orderSet', { as: m, params: { machine: 'me' }, body: { plugins: [] } });
    const takeBack = (seq: number | null, as = m) =>
      t.call('takeBackSet', { as, params: { machine: 'me' }, query: { seq: String(seq) } });
    const { seq, excluded } = await order();
    expect([excluded, await desired('m')]).toEqual([['p', 'q', 'r'], []]);
    expect(await order()).toMatchObject({ installed: [], excluded: [], seq: null });
    await expect(takeBack(seq, n)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    for (const other of [1, 9999]) await expect(takeBack(other)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    expect(await desired('m')).toEqual([]);
    await takeBack(seq);
    expect(await listOverrides(t.store.read, 'm_m')).toEqual(before);
    const again = (await order()).seq;
    await set('q', 'exclude');
    await t.call('clearOverride', { as: operator, params: { machine: 'm', name: 'r' } });
    await install('r@1.0.0', {}, m);
    await takeBack(again);
    await takeBack(again);
    const now = (await listOverrides(t.store.read, 'm_m')).map((o) => `${o.name} ${o.kind}`);
    expect(now).toEqual(['p pin', 'q exclude', 'r install']);
  });

  it('takes no order of an operator back for a machine', async () => {
    const m = await t.addMachine('m', ['web']);
    await publish('p', '1.0.0', ['web']);
    const [params, query] = [{ machine: 'm' }, async (as: typeof m) => ({ seq: String((await order(as)).seq) })];
    const order = (as: typeof m) => t.call('orderSet', { as, params, body: { plugins: [] } });
    const theirs = await query(operator);
    const ordered = await listOverrides(t.store.read, 'm_m');
    expect(ordered).toMatchObject([{ kind: 'exclude', byOperator: true }]);
    await expect(t.call('takeBackSet', { as: m, params, query: theirs })).rejects.toMatchObject({
      code: 'BAD_REQUEST',
    });
    expect(await listOverrides(t.store.read, 'm_m')).toEqual(ordered);
    await t.call('takeBackSet', { as: operator, params, query: theirs });
    expect(await desired('m')).toEqual(['p@1.0.0']);
    // An operator takes the machine's own back, too.
    await t.call('takeBackSet', { as: operator, params, query: await query(m) });
    expect(await desired('m')).toEqual(['p@1.0.0']);
  });

  describe('an order of a set', () => {
    const digestOf = async (id: string) => (await loadCatalogue(t.store)).byId.get(id)?.digest ?? '';
    const locked = async (name: string) => ({ name, version: '1.0.0', digest: await digestOf(`plugin_${name}_1.0.0`) });
    /** Orders, while `meanwhile` is done between the look at what is and the order. */
    const order = async (as: typeof operator, names: string[], meanwhile?: () => Promise<unknown>) => {
      const plugins = await Promise.all(names.map(locked));
      const transact = t.hub.store.transact.bind(t.hub.store);
      const spy = vi.spyOn(t.hub.store, 'transact');
      if (meanwhile !== undefined) {
        spy.mockImplementationOnce(async (work) => {
          await meanwhile();
          return transact(work);
        });
      }
      return t.call('orderSet', { as, params: { machine: 'm' }, body: { plugins } }).finally(() => spy.mockRestore());
    };

    it('counts what is published and said while it is made, and is refused where it cannot be had any more', async () => {
      const m = await t.addMachine('m', ['web']);
      await publish('p', '1.0.0', ['nobody']);
      await publish('q', '1.0.0', ['nobody']);
      expect(await order(m, ['p'], () => install('q'))).toMatchObject({ installed: ['p'], excluded: ['q'] });
      expect(await desired('m')).toEqual(['p@1.0.0']);
      expect(await order(m, ['p', 'q'], () => publish('r', '1.0.0', ['web']))).toMatchObject({ excluded: ['r'] });
      expect(await desired('m')).toEqual(['p@1.0.0', 'q@1.0.0']);
      const yank = () =>
        t.call('setStatus', { params: { id: 'plugin_p_1.0.0' }, body: { status: 'yanked', reason: 'x' } });
      await uninstall('p', {}, m);
      const without = await listOverrides(t.store.read, 'm_m');
      const seq = await t.store.currentSeq();
      await expect(order(m, ['p', 'q'], yank)).rejects.toMatchObject({ code: 'STATUS_FORBIDS' });
      expect(await listOverrides(t.store.read, 'm_m')).toEqual(without);
      expect(await t.store.currentSeq()).toBe(seq + 1);
    });

    it('may name a plugin twice, and not in two versions', async () => {
      const m = await t.addMachine('m', ['web']);
      await publish('p', '1.0.0', ['nobody']);
      await publish('p', '2.0.0', ['nobody']);
      expect(await order(m, ['p', 'p'])).toMatchObject({ installed: ['p'] });
      const other = { name: 'p', version: '2.0.0', digest: await digestOf('plugin_p_2.0.0') };
      const plugins = [await locked('p'), other];
      await expect(t.call('orderSet', { as: m, params: { machine: 'm' }, body: { plugins } })).rejects.toMatchObject({
        code: 'LOCK_MISMATCH',
      });
    });

    it('takes as many statements for hundreds of plugins as for one, and puts out of force what each order does', async () => {
      await t.addMachine('m', ['web']);
      const row = { machineId: 'm_m', by: 'x', at: '2026-01-01T00:00:00.000Z' };
      const plugins = Array.from({ length: 400 }, (_, i) => ({ name: `p${i}`, range: '1.0.0', forceNonce: null }));
      const old = (kind: OverrideRecord['kind'], byOperator: boolean) =>
        plugins.map((plugin) => ({ ...row, ...plugin, kind, byOperator }));
      const rows = async () => {
        const all = (await listOverrides(t.store.read, 'm_m')).filter((o) => o.name === 'p7' || o.name === 'p399');
        return all.map((o) => `${o.name} ${o.kind}${o.byOperator ? ' op' : ''}`);
      };
      const statements = async (work: (tx: Tx) => Promise<void>) => {
        let count = 0;
        const transformQuery = <T>({ node }: { node: T }) => {
          count++;
          return node;
        };
        await t.store.transact(async (tx) => {
          const counted = tx.withPlugin({ transformQuery, transformResult: async ({ result }) => result });
          await work(counted);
        });
        return count;
      };
      expect(await statements((tx) => insertOverrides(tx, [...old('pin', true), ...old('exclude', true)]))).toBe(3);
      const exclude = { ...row, kind: 'exclude' as const };
      expect(await statements((tx) => setOverridesOf(tx, { ...exclude, byOperator: false }, plugins))).toBe(2);
      expect(await rows()).toEqual(['p399 exclude', 'p399 pin op', 'p7 exclude', 'p7 pin op']);
      const install = { ...row, kind: 'install' as const, byOperator: true };
      expect(await statements((tx) => setOverridesOf(tx, install, plugins))).toBe(3);
      expect(await rows()).toEqual(['p399 install op', 'p399 pin op', 'p7 install op', 'p7 pin op']);
      const ordered = await t.store.read.selectFrom('ordered_versions').selectAll().execute();
      expect(ordered).toHaveLength(400);
      expect(await statements((tx) => setOverridesOf(tx, { ...exclude, byOperator: true }, plugins))).toBe(2);
      expect(await rows()).toEqual(['p399 exclude op', 'p7 exclude op']);
      expect(await statements((tx) => setOverridesOf(tx, install, []))).toBe(0);
    });
  });

  it('refuses what an operator misspells, warns of a range that fits nothing yet, and keeps what runs', async () => {
    const m = await t.addMachine('m', ['web']);
    await publish('p', '1.0.0', ['web']);
    await publish('p', '2.0.0', ['web']);
    const set = (name: string, kind: 'pin' | 'hold' | 'exclude' | 'install', range = '*', as = operator) =>
      t.call('setOverride', { as, params: { machine: 'm', name }, body: { kind, range } });
    for (const kind of ['pin', 'hold', 'install'] as const) {
      await expect(set('p', kind, '2.0.1')).rejects.toMatchObject({ code: 'VERSION_NOT_FOUND' });
      await expect(set('q', kind, '2.0.0')).rejects.toMatchObject({ code: 'PLUGIN_NOT_FOUND' });
    }
    await expect(set('q', 'exclude')).rejects.toMatchObject({ code: 'PLUGIN_NOT_FOUND' });
    expect(await desired('m')).toEqual(['p@2.0.0']);
    expect(await set('p', 'pin', '2.0.0')).toMatchObject({ warnings: [] });
    expect(await set('p', 'pin', '^3.0.0')).toMatchObject({ warnings: ['p has no version ^3.0.0 yet'] });
    await publish('p', '3.1.0', ['web']);
    expect(await desired('m')).toEqual(['p@3.1.0']);
    // A rollback's hold, of a version that the hub does not have.
    expect(await set('p', 'hold', '0.9.0', m)).toMatchObject({ kind: 'hold' });
  });
});
