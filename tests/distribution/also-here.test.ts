// An order for machines of which this one is one: it is carried out here before the answer, the others follow by themselves.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ClientContext } from '../../server/src/client/context.ts';
import { ask } from '../../server/src/client/hub/registry.ts';
import { installPlugin, updatePlugins } from '../../server/src/client/install/index.ts';
import { removePlugin } from '../../server/src/client/install/remove.ts';
import { rollbackPlugin } from '../../server/src/client/install/rollback.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

let t: TestHub;
let one: RealClient;
let two: RealClient;
let operator: ClientContext;
beforeEach(async () => {
  t = await testHub('sqlite');
  for (const version of ['1.0.0', '2.0.0']) await publish(t.url, t.admin, { name: 'p', version }, ['nobody']);
  one = await realClient(t.url, t.hub.joinToken, 'm1');
  two = await realClient(t.url, t.hub.joinToken, 'm2');
  operator = { ...one.ctx, env: { ...one.ctx.env, token: t.admin } };
});
afterEach(async () => {
  await one.remove();
  await two.remove();
  await t.close();
});

const here = async ({ ctx }: RealClient) => (await readReceipts(ctx.machine)).plugins.p?.version;

it('installs and removes here, where this machine is named, alone or among all', async () => {
  for (const machines of [['m1'], ['m2', 'm1'], ['*']]) {
    const done = await installPlugin(operator, 'p', { machines });
    expect(done.machines).toHaveLength(machines[0] === 'm1' ? 1 : 2);
    expect(done.sync?.changed.installed).toEqual([{ name: 'p', version: '2.0.0' }]);
    expect([await here(one), await here(two)]).toEqual(['2.0.0', undefined]);
    expect((await removePlugin(operator, 'p', { machines })).removed).toEqual(['p']);
    expect(await here(one)).toBeUndefined();
  }
});

it("leaves this machine alone where others are meant, and takes a machine's own name from itself", async () => {
  expect((await installPlugin(operator, 'p', { machines: ['m2'] })).sync).toBeNull();
  expect(await here(one)).toBeUndefined();
  expect((await removePlugin(operator, 'p', { machines: ['m2'] })).removed).toEqual([]);
  expect((await installPlugin(two.ctx, 'p', { machines: ['m2'] })).sync?.reloadNeeded).toBe(true);
  expect(await here(two)).toBe('2.0.0');
});

it('lifts the hold of a rollback, as the order does at the hub', async () => {
  await installPlugin(one.ctx, 'p', { version: '1.0.0' });
  await installPlugin(one.ctx, 'p');
  await rollbackPlugin(one.ctx, 'p');
  expect(await here(one)).toBe('1.0.0');
  await installPlugin(operator, 'p', { machines: ['*'] });
  expect(await here(one)).toBe('2.0.0');
  expect((await syncMachine(one.ctx, { mode: 'explicit' })).waiting).toEqual([]);
});

it("an update ends the hold of a rollback, and leaves an operator's order the operator's", async () => {
  await installPlugin(operator, 'p', { machines: ['m1'], version: '^1.0.0' });
  await installPlugin(operator, 'p', { machines: ['m1'] });
  const params = { machine: 'm1', name: 'p' };
  const said = async () => (await ask(operator, 'operator', (hub) => hub.call('machine', { params }))).overrides;
  const ordered = await said();
  await rollbackPlugin(one.ctx, 'p');
  expect((await said()).map((o) => o.kind).sort()).toEqual(['hold', 'install']);
  await updatePlugins(one.ctx, ['p']);
  expect(await here(one)).toBe('2.0.0');
  expect(await said()).toEqual(ordered);
});
