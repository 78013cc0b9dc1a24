// What came along with a plugin goes with it, with the hub and without; what somebody installed by hand, or others need, stays.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { installPlugin } from '../../server/src/client/install/index.ts';
import { removePlugin } from '../../server/src/client/install/remove.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

describe.each([
  { way: 'with the hub', away: false },
  { way: 'while the hub is away', away: true },
])('removal $way', ({ away }) => {
  let t: TestHub;
  let machine: RealClient;
  beforeEach(async () => {
    t = await testHub('sqlite');
    const needing = (...names: string[]) => ({ dependencies: names.map((name) => ({ name, version: '^1.0.0' })) });
    await publish(t.url, t.admin, { name: 'base' }, ['nobody']);
    await publish(t.url, t.admin, { name: 'lib', manifest: needing('base') }, ['nobody']);
    await publish(t.url, t.admin, { name: 'app', manifest: needing('lib') }, ['nobody']);
    await publish(t.url, t.admin, { name: 'other', manifest: needing('base') }, ['nobody']);
    machine = await realClient(t.url, t.hub.joinToken, 'm1');
  });
  afterEach(async () => {
    await machine.remove();
    await t.close();
  });

  const here = async () =>
    Object.keys((await readReceipts(machine.ctx.machine)).plugins)
      .filter((name) => name !== 'haivemind-core')
      .sort();

  async function remove(name: string): Promise<void> {
    const { env } = machine.ctx;
    // Nobody listens on the first port.
    if (away) env.hubUrl = 'http://127.0.0.1:1';
    await removePlugin(machine.ctx, name);
    env.hubUrl = undefined;
  }

  /** The hub is told later of what it did not hear, and changes nothing of it. */
  async function stays(names: string[]): Promise<void> {
    expect(await here()).toEqual(names);
    await syncMachine(machine.ctx, { mode: 'explicit' });
    expect(await here()).toEqual(names);
  }

  it('takes the whole chain along', async () => {
    await installPlugin(machine.ctx, 'app');
    expect(await here()).toEqual(['app', 'base', 'lib']);
    await remove('app');
    await stays([]);
  });

  it('leaves what another plugin needs, until that goes too', async () => {
    await installPlugin(machine.ctx, 'app');
    await installPlugin(machine.ctx, 'other');
    await remove('app');
    await stays(['base', 'other']);
    await remove('other');
    await stays([]);
  });

  it('leaves what somebody installed by hand, before or after it was needed', async () => {
    await installPlugin(machine.ctx, 'base');
    await installPlugin(machine.ctx, 'app');
    await installPlugin(machine.ctx, 'lib');
    await remove('app');
    await stays(['base', 'lib']);
  });

  it('refuses to take away what another needs', async () => {
    await installPlugin(machine.ctx, 'app');
    await expect(remove('base')).rejects.toMatchObject({ code: 'DEPENDENT_INSTALLED' });
    expect(await here()).toEqual(['app', 'base', 'lib']);
  });
});
