// What the resolver chooses loads in the real client, which enforces presence and ranges itself.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { listPlugins } from '../client/harness/claude-plugin.ts';
import { publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

describe('what the resolver chooses', () => {
  let t: TestHub;
  let machine: RealClient;
  const offer = (name: string, version: string, dependencies: string[] = []) =>
    publish(t.url, t.admin, { name, version, manifest: { dependencies } });
  beforeAll(async () => {
    t = await testHub('sqlite');
    // A diamond whose newest top does not fit, a cycle, a prerelease, a chain, and one that fits with nothing.
    await offer('base', '1.0.0');
    await offer('base', '1.4.2');
    await offer('base', '2.0.0');
    await offer('left', '1.0.0', ['base@^1.0.0']);
    await offer('left', '2.0.0', ['base@^2.0.0']);
    await offer('right', '1.0.0', ['base@>=1.2.0 <2.0.0-0']);
    await offer('top', '1.0.0', ['left', 'right@~1.0.0']);
    await offer('egg', '1.0.0');
    await offer('hen', '1.0.0', ['egg@*']);
    await offer('egg', '1.1.0', ['hen@^1.0.0']);
    await offer('early', '3.0.0-rc.2');
    await offer('user-of-early', '1.0.0', ['early@^3.0.0-rc.1']);
    await offer('beta', '1.0.0-beta.1');
    await offer('user-of-beta', '1.0.0', ['beta']);
    await publish(t.url, t.admin, { name: 'star', manifest: { dependencies: [{ name: 'beta', version: '*' }] } });
    await offer('torn', '1.0.0', ['left@^2.0.0', 'right@^1.0.0']);
    machine = await realClient(t.url, t.hub.joinToken, 'm1');
  });
  afterAll(async () => {
    await machine?.remove();
    await t?.close();
  });

  const loaded = async () => {
    const listed = (await listPlugins(machine.home)).filter((p) => p.id.endsWith('@collective'));
    return listed.map((p) => [p.id.replace('@collective', ''), p.version, p.errors ?? []]).sort();
  };

  it('loads without one complaint of the client; what fits with nothing is left out', async () => {
    expect(await loaded()).toEqual([
      ['base', '1.4.2', []],
      ['beta', '1.0.0-beta.1', []],
      ['early', '3.0.0-rc.2', []],
      ['egg', '1.1.0', []],
      ['hen', '1.0.0', []],
      ['left', '1.0.0', []],
      ['right', '1.0.0', []],
      ['top', '1.0.0', []],
      ['user-of-beta', '1.0.0', []],
      ['user-of-early', '1.0.0', []],
    ]);
  });

  it('loads still when the diamond moves to the next major version as one', async () => {
    await offer('right', '1.0.1', ['base@^2.0.0']);
    await syncMachine(machine.ctx, { mode: 'agent' });
    const now = new Map((await loaded()).map(([name, version, errors]) => [name, [version, errors]]));
    expect([now.get('base'), now.get('left'), now.get('right'), now.get('torn')]).toEqual([
      ['2.0.0', []],
      ['2.0.0', []],
      ['1.0.1', []],
      ['1.0.0', []],
    ]);
  });
});
