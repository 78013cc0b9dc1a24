// Plans travel as differences from the plan the machine has, and fall back to the whole when that is not the one.
import { writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hubFor } from '../../server/src/client/context.ts';
import { machineProof } from '../../server/src/client/hub/machine-key.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { fetchPlan } from '../../server/src/client/sync/plan.ts';
import { PROOF_HEADER } from '../../server/src/domain/signing/machine-proof.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { ask, publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

describe('a plan over the wire', () => {
  let t: TestHub;
  let machine: RealClient;
  beforeEach(async () => {
    t = await testHub('sqlite');
    for (const name of ['aa', 'bb', 'cc']) await publish(t.url, t.admin, { name });
    machine = await realClient(t.url, t.hub.joinToken, 'm1');
  });
  afterEach(async () => {
    await machine.remove();
    await t.close();
  });

  async function raw(headers: Record<string, string>) {
    const { token = '' } = machine.ctx.config;
    const question = { method: 'GET', path: '/api/machines/me/plan', token };
    const proof = (await machineProof(machine.ctx)(question)) ?? '';
    return ask(t.url, 'GET', question.path, { token, headers: { ...headers, [PROOF_HEADER]: proof } });
  }
  const versions = async () =>
    Object.fromEntries(
      Object.values((await readReceipts(machine.ctx.machine)).plugins).map((p) => [p.name, p.version]),
    );

  it('is a delta for a caller that takes one and has the plan before', async () => {
    const etag = machine.ctx.config.plan?.etag ?? '';
    await raw({});
    await publish(t.url, t.admin, { name: 'bb', version: '1.1.0' });
    const delta = await raw({ 'if-none-match': etag, 'a-im': 'hv' });
    expect([delta.status, delta.headers.get('im'), delta.json.payload]).toEqual([226, 'hv', '']);
    expect((delta.json.delta as { plan: { plugins: unknown[] } }).plan.plugins).toEqual([
      [0, 1],
      expect.objectContaining({ name: 'bb', version: '1.1.0' }),
      [2, 1],
    ]);
    expect((await raw({ 'if-none-match': etag })).status).toBe(200);
    expect((await raw({ 'if-none-match': '"unknown"', 'a-im': 'hv' })).status).toBe(200);
  });

  it('installs what a delta says, update after update', async () => {
    for (const version of ['1.1.0', '1.2.0', '1.3.0']) {
      await publish(t.url, t.admin, { name: 'bb', version });
      await syncMachine(machine.ctx, { mode: 'agent' });
      expect(await versions()).toEqual({ aa: '1.0.0', bb: version, cc: '1.0.0' });
    }
  });

  it('is asked for whole when the plan kept here is not the one the etag names', async () => {
    const { ctx } = machine;
    const before = await fetchPlan(ctx, await hubFor(ctx, 'machine'), { fresh: true });
    await publish(t.url, t.admin, { name: 'aa', version: '1.1.0' });
    const other = await fetchPlan(ctx, await hubFor(ctx, 'machine'), { fresh: true });
    // A crash between the two writes of a sync leaves the newer plan with the older etag.
    await writeFile(ctx.machine.paths.plan, JSON.stringify(other.envelope));
    await publish(t.url, t.admin, { name: 'cc', version: '1.1.0' });
    expect(ctx.config.plan?.etag).toBe(before.etag);
    await syncMachine(ctx, { mode: 'agent' });
    expect(await versions()).toEqual({ aa: '1.1.0', bb: '1.0.0', cc: '1.1.0' });
  });
});
