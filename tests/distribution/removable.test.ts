// Nothing that a person takes away stays for want of what it needs, or for what needs it in turn.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { installPlugin } from '../../server/src/client/install/index.ts';
import { removePlugin } from '../../server/src/client/install/remove.ts';
import { machineStatus } from '../../server/src/client/status.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { ask, publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

let t: TestHub;
let machine: RealClient;
beforeEach(async () => {
  t = await testHub('sqlite');
  machine = await realClient(t.url, t.hub.joinToken, 'm3', { groups: ['g'] });
});
afterEach(async () => {
  await machine.remove();
  await t.close();
});

const offer = (name: string, version: string, dependencies: unknown[] = [], group = 'g') =>
  publish(t.url, t.admin, { name, version, manifest: { dependencies } }, [group]);

const here = async () =>
  Object.keys((await readReceipts(machine.ctx.machine)).plugins)
    .filter((name) => name !== 'haivemind-core')
    .sort();

const sync = () => syncMachine(machine.ctx, { mode: 'explicit' });

const revoke = async (id: string) =>
  (await ask(t.url, 'POST', `/api/plugins/${id}/revoke`, { token: t.admin, body: { reason: 'leak' } })).expect(200);

const exclude = async (name: string) =>
  (await ask(t.url, 'PUT', `/api/machines/m3/overrides/${name}`, { token: t.admin, body: { kind: 'exclude' } })).expect(
    200,
  );

/** Whatever way somebody takes a plugin away. */
const ways = {
  'by hand': async (name: string) => void (await removePlugin(machine.ctx, name)),
  'while the hub is away': async (name: string) => {
    machine.ctx.env.hubUrl = 'http://127.0.0.1:1';
    await removePlugin(machine.ctx, name);
    machine.ctx.env.hubUrl = undefined;
  },
  'by an operator': async (name: string) => {
    machine.ctx.env.token = t.admin;
    await removePlugin(machine.ctx, name, { machines: ['m3'] });
    machine.ctx.env.token = undefined;
  },
  'by an exclusion': exclude,
};

describe.each(Object.entries(ways))('taken away %s', (_way, takeAway) => {
  /** Gone now or with the next sync, and for good. */
  async function leaves(name: string, left: string[]): Promise<void> {
    await takeAway(name);
    await sync();
    expect(await here()).toEqual(left);
    await sync();
    expect(await here()).toEqual(left);
    const status = await machineStatus(machine.ctx);
    expect({ problems: status.problems, in_step: status.in_step }).toEqual({ problems: [], in_step: true });
  }

  it('goes what lost its dependency, which stays as long as nobody says so', async () => {
    await offer('qq', '1.0.0');
    await offer('pp', '1.0.0', ['qq']);
    await sync();
    await revoke('plugin_qq_1.0.0');
    await sync();
    expect(await here()).toEqual(['pp']);
    expect(await machineStatus(machine.ctx)).toMatchObject({ in_step: false, problems: [{ name: 'pp' }] });
    await leaves('pp', []);
  });

  it('go together what need each other and are both offered', async () => {
    await offer('dep-a', '1.0.0', [], 'nobody');
    await offer('dep-b', '2.0.0', ['dep-a']);
    await offer('dep-a', '1.1.0', [{ name: 'dep-b', version: '^2.0.0' }]);
    await sync();
    expect(await here()).toEqual(['dep-a', 'dep-b']);
    await leaves('dep-a', []);
    await installPlugin(machine.ctx, 'dep-a');
    expect(await here()).toEqual(['dep-a', 'dep-b']);
  });

  it('go together what need each other and were installed by hand', async () => {
    await offer('dep-a', '1.0.0', [], 'nobody');
    await offer('dep-b', '2.0.0', ['dep-a'], 'nobody');
    await offer('dep-a', '1.1.0', [{ name: 'dep-b', version: '^2.0.0' }], 'nobody');
    await revoke('plugin_dep-a_1.0.0');
    await installPlugin(machine.ctx, 'dep-a');
    await installPlugin(machine.ctx, 'dep-b');
    await leaves('dep-b', []);
  });

  it('goes one of a circle for which the other has a version that does without', async () => {
    await offer('dep-b', '1.0.0');
    await offer('dep-a', '1.0.0', [], 'nobody');
    await offer('dep-b', '2.0.0', ['dep-a']);
    await offer('dep-a', '1.1.0', [{ name: 'dep-b', version: '^2.0.0' }]);
    await sync();
    expect((await readReceipts(machine.ctx.machine)).plugins['dep-b']?.version).toBe('2.0.0');
    await takeAway('dep-a');
    await sync();
    const { plugins } = await readReceipts(machine.ctx.machine);
    expect(plugins['dep-a']).toBeUndefined();
  });
});

it('names all that goes, and keeps what others from outside of the circle need', async () => {
  await offer('dep-a', '1.0.0', [], 'nobody');
  await offer('dep-b', '2.0.0', ['dep-a']);
  await offer('dep-a', '1.1.0', [{ name: 'dep-b', version: '^2.0.0' }]);
  await offer('app', '1.0.0', ['dep-a']);
  await sync();
  const refused = { code: 'DEPENDENT_INSTALLED', message: 'app needs dep-b (with dep-a)' };
  await expect(removePlugin(machine.ctx, 'dep-b')).rejects.toMatchObject(refused);
  machine.ctx.env.token = t.admin;
  await expect(removePlugin(machine.ctx, 'dep-b', { machines: ['m3'] })).rejects.toMatchObject({
    code: 'DEPENDENT_INSTALLED',
  });
  machine.ctx.env.token = undefined;
  // An exclusion is said all the same; what stays says why.
  await exclude('dep-b');
  await sync();
  expect(await here()).toEqual(['app', 'dep-a', 'dep-b']);
  const { plugins } = await machineStatus(machine.ctx);
  expect(plugins.find((p) => p.name === 'dep-a')?.notice).toContain('app needs it');
  // What was left out already goes with the last that needs it.
  expect((await removePlugin(machine.ctx, 'app')).removed.sort()).toEqual(['app', 'dep-a', 'dep-b']);
});

it('tells an operator what leaves along', async () => {
  await offer('dep-a', '1.0.0', [], 'nobody');
  await offer('dep-b', '2.0.0', ['dep-a']);
  await offer('dep-a', '1.1.0', [{ name: 'dep-b', version: '^2.0.0' }]);
  await sync();
  machine.ctx.env.token = t.admin;
  const told = await removePlugin(machine.ctx, 'dep-b', { machines: ['m3'] });
  expect(told).toMatchObject({ machines: ['m3'], along: ['dep-a'] });
  // This machine is the one that is named.
  expect(told.removed.sort()).toEqual(['dep-a', 'dep-b']);
  expect(Object.keys((await readReceipts(machine.ctx.machine)).plugins)).not.toContain('dep-a');
});
