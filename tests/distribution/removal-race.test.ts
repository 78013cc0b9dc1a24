// The hub rings as soon as it knows of a removal, and a session of the same machine may carry it out before the one that was asked.

import { existsSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { installPlugin } from '../../server/src/client/install/index.ts';
import { removePlugin } from '../../server/src/client/install/remove.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { applyChange } from '../../server/src/machine/change/transaction.ts';
import { withLock } from '../../server/src/machine/processes/lock.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { scriptedHub } from '../cli/scripted-hub.ts';
import { publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

let t: TestHub;
let machine: RealClient;
beforeEach(async () => {
  t = await testHub('sqlite');
  await publish(t.url, t.admin, { name: 'lib' }, ['nobody']);
  const dependencies = [{ name: 'lib', version: '^1.0.0' }];
  await publish(t.url, t.admin, { name: 'app', manifest: { dependencies } }, ['nobody']);
  machine = await realClient(t.url, t.hub.joinToken, 'm1');
  await installPlugin(machine.ctx, 'app');
});
afterEach(async () => {
  await machine.remove();
  await t.close();
});

const hubKnows = async () =>
  (await syncMachine(machine.ctx, { mode: 'explicit', dryRun: true })).changed.removed.includes('app');

async function edit(): Promise<void> {
  const { root } = machine.ctx.machine.paths;
  const { dir } = (await readReceipts(machine.ctx.machine)).plugins.app as { dir: string };
  await appendFile(join(root, dir, '.claude-plugin', 'plugin.json'), '\n');
}

const overlayThere = () => existsSync(join(machine.ctx.machine.paths.overlays, 'app'));

/** Removes `app`, which was edited, while another holds the lock and takes it away first, once the hub was asked. */
async function removeBehind(purge: boolean, asked: () => Promise<boolean> = hubKnows, then = async () => {}) {
  const m = machine.ctx.machine;
  await edit();
  let removing: ReturnType<typeof removePlugin> | undefined;
  await withLock(m, 'another session', async () => {
    removing = removePlugin(machine.ctx, 'app', { purge });
    while (!(await asked())) await new Promise((resolve) => setTimeout(resolve, 20));
    await applyChange(m, { install: [], remove: ['app', 'lib'], reason: 'sync' });
    await then();
  });
  const { removed } = (await removing) as Awaited<ReturnType<typeof removePlugin>>;
  return { removed: removed.sort(), overlay: overlayThere() };
}

it('says what went, whoever took it away, and keeps the edits', async () => {
  expect(await removeBehind(false)).toEqual({ removed: ['app', 'lib'], overlay: true });
});

it('takes the edits away too where that was asked', async () => {
  expect(await removeBehind(true)).toEqual({ removed: ['app', 'lib'], overlay: false });
});

it('does both also where the answer of the hub was lost', async () => {
  const deaf = await scriptedHub({ '*': (request) => request.socket.destroy() });
  machine.ctx.env.hubUrl = deaf.url;
  try {
    expect(await removeBehind(true, async () => deaf.seen.length > 0)).toEqual({
      removed: ['app', 'lib'],
      overlay: false,
    });
  } finally {
    await deaf.close();
  }
});

it('takes the edits away also where the hub goes before the result is known', async () => {
  // Its plan may have come before the hub went.
  await removeBehind(true, hubKnows, () => t.close()).catch((thrown) =>
    expect(thrown).toMatchObject({ code: 'HUB_UNREACHABLE' }),
  );
  expect(overlayThere()).toBe(false);
});

it('takes the edits of what is gone already away, where that is asked', async () => {
  await edit();
  await removePlugin(machine.ctx, 'app');
  await expect(removePlugin(machine.ctx, 'app')).rejects.toMatchObject({ code: 'NOT_INSTALLED' });
  expect(overlayThere()).toBe(true);
  expect(await removePlugin(machine.ctx, 'app', { purge: true })).toMatchObject({
    removed: [],
    warnings: [expect.stringContaining('the edits kept of it are gone')],
  });
  expect(overlayThere()).toBe(false);
  const again = removePlugin(machine.ctx, 'app', { purge: true });
  await expect(again).rejects.toMatchObject({ code: 'NOT_INSTALLED' });
});

it('installs again what was removed while the hub was away', async () => {
  const away = { ...machine.ctx, env: { ...machine.ctx.env, hubUrl: 'http://127.0.0.1:9' } };
  const operator = { ...machine.ctx, env: { ...machine.ctx.env, token: t.admin } };
  for (const again of [
    () => installPlugin(machine.ctx, 'app'),
    () => installPlugin(operator, 'app', { machines: ['m1'] }),
  ]) {
    expect((await removePlugin(away, 'app')).removed.sort()).toEqual(['app', 'lib']);
    expect((await again()).sync?.changed.installed.map((p) => p.name).sort()).toEqual(['app', 'lib']);
    await syncMachine(machine.ctx, { mode: 'explicit' });
    expect((await readReceipts(machine.ctx.machine)).plugins).toHaveProperty('app');
  }
});
