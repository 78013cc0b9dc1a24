// The groups and capabilities that a machine knows of itself are those that the hub goes by, not those of the day it joined.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { joinHub } from '../../server/src/client/join/index.ts';
import { machineStatus } from '../../server/src/client/status.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { readConfig } from '../../server/src/machine/config-file.ts';
import { ask, publish, type TestHub, testHub } from '../hub/support.ts';
import { hv } from '../support/hv.ts';
import { type RealClient, realClient } from './real-client.ts';

let t: TestHub;
let machine: RealClient;
beforeEach(async () => {
  t = await testHub('sqlite');
  machine = await realClient(t.url, t.hub.joinToken, 'web1', { groups: ['web'] });
});
afterEach(async () => {
  await machine.remove();
  await t.close();
});

const set = async (body: object) =>
  (await ask(t.url, 'PATCH', '/api/machines/web1', { token: t.admin, body })).expect(200);
const sync = () => syncMachine(machine.ctx, { mode: 'explicit' });
const kept = async () => {
  const { groups, capabilities } = await readConfig(machine.ctx.machine);
  return { groups, capabilities };
};

describe('the groups of a machine', () => {
  it('are shown at once as an operator set them, and kept by a sync', async () => {
    await set({ groups: ['blue', 'green'], capabilities: ['gpu'] });
    const now = { groups: ['blue', 'green'], capabilities: ['gpu'] };
    expect((await machineStatus(machine.ctx)).machine).toMatchObject(now);
    expect(await kept()).toEqual({ groups: ['web'], capabilities: [] });
    await sync();
    expect(await kept()).toEqual(now);
    await t.hub.close();
    expect((await hv(machine.home, ['status'])).stdout).toMatch(/^web1 \(blue, green\) · .* does not answer/);
  });

  it('are kept also where nothing else of the plan changed for a machine that did not know them', async () => {
    await sync();
    const path = join(machine.home.home, '.haivemind/config.json');
    const config = JSON.stringify({ ...(await readConfig(machine.ctx.machine)), groups: ['old'] });
    await writeFile(path, config);
    machine.ctx.config = await readConfig(machine.ctx.machine);
    await sync();
    expect(await kept()).toMatchObject({ groups: ['web'] });
  });

  it('stay as an operator set them when the machine joins again without naming any', async () => {
    await set({ groups: ['blue'] });
    await sync();
    await joinHub(machine.ctx, { url: t.url, token: t.hub.joinToken });
    expect(await kept()).toMatchObject({ groups: ['blue'] });
    expect((await ask(t.url, 'GET', '/api/machines/web1', { token: t.admin })).expect(200).groups).toEqual(['blue']);
    await joinHub(machine.ctx, { url: t.url, token: t.hub.joinToken, groups: ['web'] });
    expect(await kept()).toMatchObject({ groups: ['web'] });
  });

  it('decide how long it waits with what is new', async () => {
    const { policy } = machine.ctx.machine.paths;
    await mkdir(join(policy, '..'), { recursive: true });
    await writeFile(policy, JSON.stringify({ min_age_groups: { prod: 48 } }));
    await publish(t.url, t.admin, { name: 'tool', files: { 'commands/go.md': 'go' } }, ['prod', 'web']);
    await set({ groups: ['prod'] });
    expect((await sync()).changed.installed).toEqual([]);
    expect((await machineStatus(machine.ctx, 'tool')).plugins).toMatchObject([{ state: 'waiting' }]);
    await set({ groups: ['web'] });
    expect((await sync()).changed.installed).toMatchObject([{ name: 'tool' }]);
  });
});
