// What machines have against what they should have, as they reported it: of one plugin, one machine, or the fleet.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fleetStatus } from '../../server/src/client/hub/registry.ts';
import { machineStatus } from '../../server/src/client/status.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { ask, ENGINES, publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

describe.each(ENGINES)('the status of a fleet on %s', (engine) => {
  let t: TestHub;
  let machine: RealClient;
  beforeAll(async () => {
    t = await testHub(engine);
    await publish(t.url, t.admin, { name: 'aa', version: '1.0.0' }, ['g']);
    await publish(t.url, t.admin, { name: 'gone', version: '1.0.0' }, ['nobody']);
    await publish(t.url, t.admin, { name: 'bb', manifest: { dependencies: ['gone@^1.0.0'] } }, ['torn']);
    machine = await realClient(t.url, t.hub.joinToken, 'm-in-step', { groups: ['g'] });
    machine.ctx.env.token = t.admin;
    const behind = await t.machine('m-behind', { groups: ['g'] });
    const failed = await t.machine('m-failed', { groups: ['g'] });
    await t.machine('m-torn', { groups: ['torn'] });
    await t.machine('m-elsewhere', { groups: ['other'] });
    const exclude = { token: t.admin, body: { kind: 'exclude' } };
    (await ask(t.url, 'PUT', '/api/machines/m-torn/overrides/gone', exclude)).expect(200);
    const row = (version: string, more = {}) => ({ name: 'aa', version, digest: 'd', state: 'verified', ...more });
    const tell = (token: string, plugins: unknown[]) =>
      ask(t.url, 'POST', '/api/machines/me/status', {
        token,
        body: { counter: 1, haivemind_version: '1.0.0', holds: [], plugins },
      });
    (await tell(behind.token, [row('0.9.0')])).expect(200);
    const error = { code: 'HASH_MISMATCH', message: 'other bytes' };
    (await tell(failed.token, [row('1.0.0', { state: 'failed', error })])).expect(200);
  });
  afterAll(async () => {
    await machine?.remove();
    await t?.close();
  });

  it('names who lags behind, what failed there and why, and what cannot be had', async () => {
    const all = new Map((await fleetStatus(machine.ctx, {})).map((m) => [m.name, m]));
    expect([...all.values()].map((m) => [m.name, m.in_step])).toEqual([
      ['m-behind', false],
      ['m-elsewhere', true],
      ['m-failed', false],
      ['m-in-step', true],
      ['m-torn', false],
    ]);
    expect(all.get('m-behind')?.plugins).toMatchObject([
      { name: 'aa', installed: '0.9.0', desired: '1.0.0', drift: true, error: null },
    ]);
    expect(all.get('m-failed')?.plugins).toMatchObject([{ state: 'failed', error: { code: 'HASH_MISMATCH' } }]);
    expect(all.get('m-in-step')?.plugins).toMatchObject([{ installed: '1.0.0', desired: '1.0.0', drift: false }]);
    expect(all.get('m-torn')?.problems).toMatchObject([{ name: 'bb', code: 'DEPENDENCY_MISSING' }]);
  });

  it('a machine that may not have a plugin of its group is in step, and says so itself', async () => {
    const picky = { name: 'picky', manifest: { haivemind: { required_capabilities: ['es_admin'] } } };
    await publish(t.url, t.admin, picky, ['choosy']);
    const choosy = await realClient(t.url, t.hub.joinToken, 'm-zz-choosy', { groups: ['choosy'] });
    try {
      choosy.ctx.env.token = t.admin;
      const [told] = await fleetStatus(choosy.ctx, { machine: 'm-zz-choosy' });
      expect(told).toMatchObject({ in_step: true, problems: [{ name: 'picky', code: 'NOT_ELIGIBLE' }] });
      const [one] = await fleetStatus(choosy.ctx, { machine: 'm-zz-choosy', plugin: 'picky' });
      expect(one?.in_step).toBe(true);
      await syncMachine(choosy.ctx, { mode: 'explicit' });
      expect((await machineStatus(choosy.ctx)).in_step).toBe(true);
    } finally {
      await t.hub.context.store.transact((tx) => tx.deleteFrom('machines').where('name', '=', 'm-zz-choosy').execute());
      await choosy.remove();
    }
  });

  it('tells of a file that was deleted on a machine as of one that was edited', async () => {
    const state = async () => (await fleetStatus(machine.ctx, { machine: 'm-in-step' }))[0]?.plugins;
    expect(await state()).toMatchObject([{ name: 'aa', drift: false, edited: false }]);
    const { paths } = machine.ctx.machine;
    const { dir } = (await readReceipts(machine.ctx.machine)).plugins.aa as { dir: string };
    const file = join(paths.root, dir, 'commands/hello.md');
    const bytes = await readFile(file);
    await rm(file);
    await syncMachine(machine.ctx, { mode: 'explicit' });
    expect(await state()).toMatchObject([{ name: 'aa', state: 'verified', drift: true, edited: true }]);
    await writeFile(file, bytes);
    await syncMachine(machine.ctx, { mode: 'explicit' });
    expect(await state()).toMatchObject([{ drift: false, edited: false }]);
  });

  it('is asked for one plugin, one machine, or those that are not in step, page by page', async () => {
    const names = async (query: string) =>
      (
        (await ask(t.url, 'GET', `/api/status?${query}`, { token: t.admin })).expect(200).machines as { name: string }[]
      ).map((m) => m.name);
    expect(await names('plugin=bb&machine=m-behind')).toEqual([]);
    expect((await ask(t.url, 'GET', '/api/status?plugin=zz', { token: t.admin })).code).toBe('PLUGIN_NOT_FOUND');
    expect(await names('plugin=aa')).toEqual(['m-behind', 'm-failed', 'm-in-step']);
    expect(await names('machine=m-torn')).toEqual(['m-torn']);
    expect(await names('out_of_step=true')).toEqual(['m-behind', 'm-failed', 'm-torn']);
    const first = (await ask(t.url, 'GET', '/api/status?limit=2', { token: t.admin })).expect(200);
    expect(first.next).toBe('m-elsewhere');
    expect(await names('limit=10&after=m-elsewhere')).toEqual(['m-failed', 'm-in-step', 'm-torn']);
  });

  it('is not for machines, and knows who does not exist', async () => {
    const { token } = await t.machine('m-curious');
    expect((await ask(t.url, 'GET', '/api/status', { token })).code).toBe('FORBIDDEN');
    expect((await ask(t.url, 'GET', '/api/status?machine=nobody', { token: t.admin })).code).toBe('MACHINE_NOT_FOUND');
  });
});
