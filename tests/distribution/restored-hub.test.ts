// A hub that came back from an old backup, and machines that were away for long.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runDoctor } from '../../server/src/client/doctor/doctor.ts';
import { installPlugin, updatePlugins } from '../../server/src/client/install/index.ts';
import { removePlugin } from '../../server/src/client/install/remove.ts';
import { rollbackPlugin } from '../../server/src/client/install/rollback.ts';
import { holdLiveChannel } from '../../server/src/client/live/hold.ts';
import { machineStatus } from '../../server/src/client/status.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { beginEpoch, operatorKey, trustOperator } from '../../server/src/client/trust/verbs.ts';
import { signEpoch } from '../../server/src/domain/approval.ts';
import { HaiveError } from '../../server/src/domain/errors.ts';
import { createKeyPair } from '../../server/src/domain/signing/dsse.ts';
import { startHub } from '../../server/src/hub/server.ts';
import { readConfig, updateConfig } from '../../server/src/machine/config-file.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { restore } from '../../server/src/storage/backup.ts';
import { openStore } from '../../server/src/storage/store.ts';
import { ask, publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

describe('time that passed differently', () => {
  let t: TestHub;
  let folder: string;
  const machines: RealClient[] = [];
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hv restored-'));
    t = await testHub('sqlite');
    await publish(t.url, t.admin, { name: 'aa', version: '1.0.0' });
  });
  afterEach(async () => {
    for (const machine of machines.splice(0)) await machine.remove();
    await t.close();
    await rm(folder, { recursive: true, force: true });
  });
  const join_ = async (name: string, wish = {}) => {
    const machine = await realClient(t.url, t.hub.joinToken, name, wish);
    machines.push(machine);
    return machine;
  };
  const have = async ({ ctx }: RealClient) =>
    Object.fromEntries(Object.values((await readReceipts(ctx.machine)).plugins).map((p) => [p.name, p.version]));

  /** A hub of its own that was restored from the backup; these machines find it where the other was. */
  async function restoredHub(file: string, ...found: RealClient[]) {
    const dataDir = await mkdtemp(join(folder, 'data'));
    const store = await openStore({ dataDir, clock: () => new Date() });
    await restore(file, store);
    await store.close();
    const config = { ...t.config, dataDir, home: folder, databaseUrl: undefined };
    const hub = await startHub(config, { coreRoot: '/nowhere' });
    for (const { ctx } of found) {
      await updateConfig(ctx.machine, (raw) => ({ ...raw, hub_url: hub.url }));
      ctx.config.hub_url = hub.url;
    }
    return hub;
  }

  /** A backup, and a machine that has seen more than it holds. */
  async function overtaken() {
    const machine = await join_('m1');
    const file = join(folder, 'backup.json.gz');
    await t.hub.context.store.backup(file);
    await publish(t.url, t.admin, { name: 'aa', version: '1.1.0' });
    await publish(t.url, t.admin, { name: 'bb' });
    await syncMachine(machine.ctx, { mode: 'agent' });
    expect(await have(machine)).toEqual({ aa: '1.1.0', bb: '1.0.0' });
    return { machine, file };
  }

  it('a hub restored from an old backup is told apart: machines keep what runs and say so', async () => {
    const { machine, file } = await overtaken();
    const old = await restoredHub(file, machine);
    try {
      await expect(syncMachine(machine.ctx, { mode: 'agent' })).rejects.toMatchObject({
        code: 'PLAN_REPLAYED',
        hint: expect.stringContaining('`hv trust epoch`'),
      });
      await expect(syncMachine(machine.ctx, { mode: 'explicit' })).rejects.toMatchObject({ code: 'PLAN_REPLAYED' });
      expect(await have(machine)).toEqual({ aa: '1.1.0', bb: '1.0.0' });
      expect((await machineStatus(machine.ctx)).hub?.error).toMatch(/^PLAN_REPLAYED/);
      expect((await runDoctor(machine.ctx)).checks).toContainEqual({
        check: 'plan',
        result: 'fail',
        message: expect.stringMatching(/^PLAN_REPLAYED/),
        fix: expect.stringContaining('`hv trust epoch`'),
      });
    } finally {
      await old.close();
    }
  });

  it("an operator's signed epoch lets machines follow the restored hub, and nobody else's does", async () => {
    const machine = await join_('m1');
    const operator = await join_('operator');
    const { publicKey } = await operatorKey(operator.ctx);
    await trustOperator(machine.ctx, publicKey);
    const file = join(folder, 'backup.json.gz');
    await t.hub.context.store.backup(file);
    await publish(t.url, t.admin, { name: 'aa', version: '1.1.0' });
    await syncMachine(machine.ctx, { mode: 'agent' });
    const old = await restoredHub(file, machine, operator);
    try {
      operator.ctx.env.token = t.admin;
      await expect(syncMachine(machine.ctx, { mode: 'agent' })).rejects.toMatchObject({ code: 'PLAN_REPLAYED' });
      // An epoch that only the hub speaks of is not one for a machine that knows its operator.
      const bare = { token: t.admin, body: { epoch: 2 } };
      (await ask(old.url, 'POST', '/api/hub/epoch', bare)).expect(200);
      await expect(syncMachine(machine.ctx, { mode: 'agent' })).rejects.toBeInstanceOf(HaiveError);
      expect(await have(machine)).toEqual({ aa: '1.1.0' });
      // Nor is one that no machine could take: the hub sees what is signed, though not by whom.
      const pem = createKeyPair().privatePem;
      const { id } = old.context.identity;
      for (const envelope of [
        signEpoch(id, 4, pem),
        signEpoch('hub_other', 3, pem),
        { ...signEpoch(id, 3, pem), payloadType: 'application/json' },
        { ...signEpoch(id, 3, pem), signatures: [] },
        { ...signEpoch(id, 3, pem), payload: 'bm8=' },
      ]) {
        const wrong = { token: t.admin, body: { epoch: 3, envelope } };
        expect((await ask(old.url, 'POST', '/api/hub/epoch', wrong)).code).toBe('SIGNATURE_INVALID');
      }
      expect((await beginEpoch(operator.ctx)).epoch).toBe(3);
      await syncMachine(machine.ctx, { mode: 'explicit' });
      expect(await have(machine)).toEqual({ aa: '1.0.0' });
      await publish(old.url, t.admin, { name: 'aa', version: '1.2.0' });
      await syncMachine(machine.ctx, { mode: 'agent' });
      expect(await have(machine)).toEqual({ aa: '1.2.0' });
    } finally {
      await old.close();
    }
  });

  it('a restored hub is told apart also once its seq has caught up, until an operator began an epoch', async () => {
    const { machine, file } = await overtaken();
    const seen = (await readConfig(machine.ctx.machine)).plan?.counter ?? 0;
    const old = await restoredHub(file, machine);
    try {
      while ((await old.context.store.currentSeq()) <= seen + 2)
        await publish(old.url, t.admin, { name: `cc-${await old.context.store.currentSeq()}` });
      for (const mode of ['agent', 'explicit'] as const) {
        await expect(syncMachine(machine.ctx, { mode })).rejects.toMatchObject({
          code: 'PLAN_REPLAYED',
          message: expect.stringContaining('another history'),
          hint: expect.stringContaining('`hv trust epoch`'),
        });
      }
      expect(await have(machine)).toEqual({ aa: '1.1.0', bb: '1.0.0' });
      (await ask(old.url, 'POST', '/api/hub/epoch', { token: t.admin, body: { epoch: 2 } })).expect(200);
      await syncMachine(machine.ctx, { mode: 'explicit' });
      expect(await have(machine)).toMatchObject({ aa: '1.0.0' });
    } finally {
      await old.close();
    }
  });

  it('who refuses a restored hub says so there, until it follows it again', async () => {
    const { machine, file } = await overtaken();
    const old = await restoredHub(file, machine);
    const op = { token: t.admin };
    const said = async () => {
      const fleet = (await ask(old.url, 'GET', '/api/status', op)).json.machines as Record<string, unknown>[];
      const one = (await ask(old.url, 'GET', '/api/machines/m1', op)).json as Record<string, unknown>;
      const why = (await ask(old.url, 'GET', '/api/machines/m1/why/aa', op)).json.reasons as { text: string }[];
      return {
        in_step: fleet[0]?.in_step,
        refused: fleet[0]?.refused,
        shown: one.refused,
        has: (one.plugins as { version: string }[]).map((p) => p.version),
        why: why.some(({ text }) => text.includes('follows no plan of this hub')),
      };
    };
    try {
      expect(await said()).toMatchObject({ in_step: true, refused: null, shown: null, why: false });
      await expect(syncMachine(machine.ctx, { mode: 'agent' })).rejects.toMatchObject({ code: 'PLAN_REPLAYED' });
      const refused = expect.objectContaining({
        code: 'PLAN_REPLAYED',
        message: expect.stringContaining('older than'),
      });
      expect(await said()).toEqual({
        in_step: false,
        refused,
        shown: refused,
        has: ['1.1.0', '1.0.0'],
        why: true,
      });
      (await ask(old.url, 'POST', '/api/hub/epoch', { token: t.admin, body: { epoch: 2 } })).expect(200);
      await syncMachine(machine.ctx, { mode: 'agent' });
      expect(await said()).toEqual({ in_step: true, refused: null, shown: null, has: ['1.0.0'], why: false });
    } finally {
      await old.close();
    }
  });

  it('whoever watches a publication hears that a machine refuses it', async () => {
    const { machine, file } = await overtaken();
    const old = await restoredHub(file, machine);
    const told = vi.spyOn(old.context.bell, 'progress');
    try {
      await publish(old.url, t.admin, { name: 'dd' });
      await expect(syncMachine(machine.ctx, { mode: 'agent' })).rejects.toMatchObject({ code: 'PLAN_REPLAYED' });
      expect(told).toHaveBeenCalledWith(
        expect.objectContaining({
          machine: 'm1',
          plugin: 'dd',
          state: 'failed',
          error: expect.objectContaining({ code: 'PLAN_REPLAYED' }),
        }),
      );
    } finally {
      await old.close();
    }
  });

  it('a running agent finds out about a restored hub when it is connected again', async () => {
    const { machine, file } = await overtaken();
    const old = await restoredHub(file);
    const stop = new AbortController();
    let hear: (what: string) => void = () => {};
    const heard = (what: string) =>
      new Promise<void>((resolve) => {
        hear = (said) => said === what && resolve();
      });
    const connected = heard('connected');
    const over = holdLiveChannel(machine.ctx, {
      signal: stop.signal,
      onState: (state) => hear(state),
      onError: ({ code }) => hear(code),
      pace: { backoffMin: 10, backoffMax: 50 },
    });
    try {
      await connected;
      const refused = heard('PLAN_REPLAYED');
      machine.ctx.env.hubUrl = old.url;
      await t.hub.close();
      await refused;
    } finally {
      stop.abort();
      await over;
      await old.close();
    }
  });

  it('an order by who refuses the restored hub is none: nothing of it is carried out later', async () => {
    const { machine, file } = await overtaken();
    const old = await restoredHub(file, machine);
    const said = async () => (await ask(old.url, 'GET', '/api/machines/m1', { token: t.admin })).json.overrides;
    const seen = (await readConfig(machine.ctx.machine)).plan?.counter ?? 0;
    try {
      await publish(old.url, t.admin, { name: 'dd' }, ['nobody']);
      const orders = () => [
        removePlugin(machine.ctx, 'aa'),
        installPlugin(machine.ctx, 'dd'),
        installPlugin(machine.ctx, 'dd', { force: true }),
      ];
      for (const caughtUp of [false, true]) {
        while (caughtUp && (await old.context.store.currentSeq()) <= seen)
          await publish(old.url, t.admin, { name: `cc-${await old.context.store.currentSeq()}` }, ['nobody']);
        for (const order of await Promise.allSettled(orders())) {
          const reason = { code: 'PLAN_REPLAYED', message: expect.stringContaining('nothing was ordered') };
          expect(order).toMatchObject({ status: 'rejected', reason });
        }
        expect(await said()).toEqual([]);
      }
      // What the hub does not know of any more is this machine's own affair.
      expect((await removePlugin(machine.ctx, 'bb')).removed).toEqual(['bb']);
      (await ask(old.url, 'POST', '/api/hub/epoch', { token: t.admin, body: { epoch: 2 } })).expect(200);
      await syncMachine(machine.ctx, { mode: 'explicit' });
      expect(await have(machine)).toEqual({ aa: '1.0.0' });
      await installPlugin(machine.ctx, 'dd');
      await removePlugin(machine.ctx, 'aa');
      expect(await have(machine)).toEqual({ dd: '1.0.0' });
    } finally {
      await old.close();
    }
  });

  it('a hold stays where the update that would lift it comes to nothing', async () => {
    const machine = await join_('m1');
    const file = join(folder, 'backup.json.gz');
    await publish(t.url, t.admin, { name: 'aa', version: '1.1.0' });
    await syncMachine(machine.ctx, { mode: 'agent' });
    await t.hub.context.store.backup(file);
    await rollbackPlugin(machine.ctx, 'aa');
    await publish(t.url, t.admin, { name: 'bb' });
    await syncMachine(machine.ctx, { mode: 'agent' });
    const old = await restoredHub(file, machine);
    try {
      await expect(updatePlugins(machine.ctx, ['aa'])).rejects.toMatchObject({ code: 'PLAN_REPLAYED' });
      expect((await readReceipts(machine.ctx.machine)).holds.aa).toMatchObject({ version: '1.0.0' });
    } finally {
      await old.close();
    }
  });

  it('an epoch of the same number that another restored hub began is told apart', async () => {
    const machine = await join_('m1');
    const file = join(folder, 'backup.json.gz');
    await t.hub.context.store.backup(file);
    const epoch = { token: t.admin, body: { epoch: 2 } };
    const hubs = [await restoredHub(file, machine), await restoredHub(file)];
    try {
      for (const { url } of hubs) (await ask(url, 'POST', '/api/hub/epoch', epoch)).expect(200);
      await syncMachine(machine.ctx, { mode: 'agent' });
      machine.ctx.env.hubUrl = hubs[1]?.url;
      await publish(machine.ctx.env.hubUrl ?? '', t.admin, { name: 'bb' });
      await expect(syncMachine(machine.ctx, { mode: 'agent' })).rejects.toMatchObject({ code: 'PLAN_REPLAYED' });
    } finally {
      for (const hub of hubs) await hub.close();
    }
  });

  it('a hub that was moved by a backup that nothing has overtaken is followed, and the one that was left is not', async () => {
    const machine = await join_('m1');
    const away = await join_('m2');
    await publish(t.url, t.admin, { name: 'aa', version: '1.1.0' });
    await syncMachine(machine.ctx, { mode: 'agent' });
    const file = join(folder, 'backup.json.gz');
    await t.hub.context.store.backup(file);
    const moved = await restoredHub(file, machine, away);
    try {
      await syncMachine(machine.ctx, { mode: 'agent' });
      await publish(moved.url, t.admin, { name: 'aa', version: '1.2.0' });
      for (const one of [machine, away]) {
        await syncMachine(one.ctx, { mode: 'agent' });
        expect(await have(one)).toEqual({ aa: '1.2.0' });
      }
      for (const version of ['1.1.1', '1.1.2', '1.1.3']) await publish(t.url, t.admin, { name: 'aa', version });
      await updateConfig(machine.ctx.machine, (raw) => ({ ...raw, hub_url: t.url }));
      machine.ctx.config.hub_url = t.url;
      await expect(syncMachine(machine.ctx, { mode: 'agent' })).rejects.toMatchObject({ code: 'PLAN_REPLAYED' });
      expect(await have(machine)).toEqual({ aa: '1.2.0' });
    } finally {
      await moved.close();
    }
  });

  it('a machine whose last version knew no histories takes its place in one with the next answer', async () => {
    const machine = await join_('m1');
    await updateConfig(machine.ctx.machine, (raw) => {
      const { lineage: _, ...plan } = raw.plan as Record<string, unknown>;
      return { ...raw, plan };
    });
    const result = await syncMachine(machine.ctx, { mode: 'agent' });
    expect(result.notModified).toBe(true);
    expect((await readConfig(machine.ctx.machine)).plan?.lineage).toEqual([]);
  });

  it('a machine that was away for months takes the newest of everything in one step', async () => {
    const machine = await join_('m1');
    for (let minor = 1; minor <= 12; minor++) {
      await publish(t.url, t.admin, { name: 'aa', version: `1.${minor}.0` });
      await publish(t.url, t.admin, { name: `new-${minor}`, manifest: { dependencies: [`aa@^1.${minor}.0`] } });
    }
    const result = await syncMachine(machine.ctx, { mode: 'agent' });
    expect(result.changed.updated).toEqual([{ name: 'aa', from: '1.0.0', to: '1.12.0' }]);
    expect(result.changed.installed).toHaveLength(12);
  });

  it('a machine whose clock jumps by months keeps what it has, says why, and goes on once the clock is right', async () => {
    let ahead = 0;
    const machine = await join_('m1', { clock: () => new Date(Date.now() + ahead) });
    await publish(t.url, t.admin, { name: 'aa', version: '1.1.0' });
    ahead = 200 * 86_400_000;
    const result = await syncMachine(machine.ctx, { mode: 'agent' });
    expect(result.warnings.join()).toMatch(/clock/);
    expect(await have(machine)).toEqual({ aa: '1.0.0' });
    ahead = 0;
    await syncMachine(machine.ctx, { mode: 'agent' });
    expect(await have(machine)).toEqual({ aa: '1.1.0' });
  });
});
