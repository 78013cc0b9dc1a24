// A hub that came back from an old backup, and machines that were away for long.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runDoctor } from '../../server/src/client/doctor/doctor.ts';
import { machineStatus } from '../../server/src/client/status.ts';
import { syncMachine } from '../../server/src/client/sync.ts';
import { beginEpoch, operatorKey, trustOperator } from '../../server/src/client/trust-verbs.ts';
import { HaiveError } from '../../server/src/domain/errors.ts';
import { startHub } from '../../server/src/hub/server.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { readReceipts } from '../../server/src/machine/receipts.ts';
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

  it('a hub restored from an old backup is told apart: machines keep what runs and say so', async () => {
    const machine = await join_('m1');
    const file = join(folder, 'backup.json.gz');
    await t.hub.context.store.backup(file);
    await publish(t.url, t.admin, { name: 'aa', version: '1.1.0' });
    await publish(t.url, t.admin, { name: 'bb' });
    await syncMachine(machine.ctx, { mode: 'agent' });
    expect(await have(machine)).toEqual({ aa: '1.1.0', bb: '1.0.0' });

    const dataDir = join(folder, 'data');
    const store = await openStore({ dataDir, clock: () => new Date() });
    await restore(file, store);
    await store.close();
    const old = await startHub(
      { ...t.config, dataDir, home: folder, databaseUrl: undefined },
      { coreRoot: '/nowhere' },
    );
    try {
      await updateConfig(machine.ctx.machine, (raw) => ({ ...raw, hub_url: old.url }));
      machine.ctx.config.hub_url = old.url;
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
    const dataDir = join(folder, 'data');
    const store = await openStore({ dataDir, clock: () => new Date() });
    await restore(file, store);
    await store.close();
    const old = await startHub(
      { ...t.config, dataDir, home: folder, databaseUrl: undefined },
      { coreRoot: '/nowhere' },
    );
    try {
      for (const { ctx } of [machine, operator]) {
        await updateConfig(ctx.machine, (raw) => ({ ...raw, hub_url: old.url }));
        ctx.config.hub_url = old.url;
      }
      operator.ctx.env.token = t.admin;
      await expect(syncMachine(machine.ctx, { mode: 'agent' })).rejects.toMatchObject({ code: 'PLAN_REPLAYED' });
      // An epoch that only the hub speaks of is not one for a machine that knows its operator.
      const bare = { token: t.admin, body: { epoch: 2 } };
      (await ask(old.url, 'POST', '/api/hub/epoch', bare)).expect(200);
      await expect(syncMachine(machine.ctx, { mode: 'agent' })).rejects.toBeInstanceOf(HaiveError);
      expect(await have(machine)).toEqual({ aa: '1.1.0' });
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
