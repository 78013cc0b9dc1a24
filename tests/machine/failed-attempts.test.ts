// What was tried on this machine and failed stands in its history, at once or as soon as there is room for the line.
import { readdir, readFile } from 'node:fs/promises';
import { beforeEach, expect, it } from 'vitest';
import { setConfig } from '../../server/src/client/configure.ts';
import { openClient } from '../../server/src/client/context.ts';
import { removePlugin } from '../../server/src/client/install/remove.ts';
import { rollbackPlugin } from '../../server/src/client/install/rollback.ts';
import { localAudit } from '../../server/src/client/local-audit.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { serve, version } from '../cli/scripted-hub.ts';
import { hub, m, scriptedPair } from '../cli/scripted-pair.ts';
import { portAround } from '../fault/faulty-port.ts';

/** Paths that get no byte more. */
let full: (path: string) => boolean;
/** Paths that no other file takes the place of. */
let stuck: (path: string) => boolean;
scriptedPair({ auto_install_updates: true });
beforeEach(async () => {
  full = () => false;
  stuck = () => false;
});

const a1 = version('alpha', '1.0.0', { 'x.txt': 'one' });
const a2 = version('alpha', '2.0.0', { 'x.txt': 'two' });
const port = portAround((name, args, go) => {
  const [path, other] = args as [string, Buffer | string];
  const refused = name === 'writeFile' ? other.length > 0 && full(path) : name === 'rename' && stuck(String(other));
  if (refused) throw Object.assign(new Error('ENOSPC: injected'), { code: 'ENOSPC' });
  go();
});
const client = () => openClient(m.ctx.env, { clock: m.ctx.clock, port });
const sync = async () => syncMachine(await client(), { mode: 'explicit' });
const said = async () =>
  (await localAudit(m.ctx)).entries
    .filter((e) => ['alpha', 'beta'].includes(e.target))
    .map((e) => `${e.what} ${e.target} ${(e.after as { version?: string } | null)?.version ?? ''} ${e.result}`);
const whole = async () => expect((await localAudit(m.ctx)).proof.brokenAt).toBeNull();
const version0 = async () => (await readReceipts(m.ctx.machine)).plugins.alpha?.version;
const isTree = (path: string) => path.includes('/versions/');
const isBlob = (path: string) => path.includes('/blobs/');
const DISK_FULL = { code: 'DISK_FULL' };

it.each([
  ['a tree', isTree],
  ['what is fetched', isBlob],
])('an install for which there is no room for %s is in the history, once', async (_what, without) => {
  serve(hub, [a1]);
  full = without;
  for (let i = 0; i < 3; i++) await expect(sync()).rejects.toMatchObject(DISK_FULL);
  expect(await said()).toEqual(['install alpha 1.0.0 DISK_FULL']);
  full = () => false;
  await sync();
  expect(await said()).toEqual(['install alpha 1.0.0 DISK_FULL', 'install alpha 1.0.0 done']);
  await whole();
});

it('updates, rollbacks and removals that fail are named as what they were', async () => {
  serve(hub, [a1]);
  await sync();
  serve(hub, [a2], { counter: 2 });
  full = isTree;
  await expect(sync()).rejects.toMatchObject(DISK_FULL);
  full = () => false;
  await sync();
  full = (path) => path.includes('journal');
  // Away: the removal goes on without it.
  hub.answers['POST /api/plugins/alpha/uninstall'] = (_, response) => response.destroy();
  await expect(rollbackPlugin(await client(), 'alpha')).rejects.toMatchObject(DISK_FULL);
  await expect(removePlugin(await client(), 'alpha')).rejects.toMatchObject(DISK_FULL);
  expect((await said()).slice(1)).toEqual([
    'update alpha 2.0.0 DISK_FULL',
    'update alpha 2.0.0 done',
    'rollback alpha 1.0.0 DISK_FULL',
    'remove alpha 2.0.0 DISK_FULL',
  ]);
  expect(await version0()).toBe('2.0.0');
  await whole();
});

it('where not even a line can be written, the next sync writes it', async () => {
  serve(hub, [a1]);
  await sync();
  serve(hub, [a2], { counter: 2 });
  full = (path) => isTree(path) || path.includes('audit');
  for (let i = 0; i < 2; i++) await expect(sync()).rejects.toMatchObject(DISK_FULL);
  expect(await said()).toEqual(['install alpha 1.0.0 done']);
  expect(await readdir(m.ctx.machine.paths.spool)).toEqual(['update~DISK_FULL~alpha@2.0.0.failed']);
  full = () => false;
  await sync();
  expect((await said()).slice(1)).toEqual(['update alpha 2.0.0 DISK_FULL', 'update alpha 2.0.0 done']);
  expect(await readdir(m.ctx.machine.paths.spool)).toEqual([]);
  await whole();
});

it.each(['receipts.json', 'settings.json'])(
  'a change that fails at %s, after its commit, is finished first, and then both stand there',
  async (file) => {
    serve(hub, [a1]);
    stuck = (path) => path.endsWith(file);
    await expect(sync()).rejects.toMatchObject(DISK_FULL);
    await readFile(m.ctx.machine.paths.journal);
    stuck = () => false;
    await sync();
    expect(await version0()).toBe('1.0.0');
    expect(await said()).toEqual(['install alpha 1.0.0 done', 'install alpha 1.0.0 DISK_FULL']);
    await whole();
  },
);

it('a value that the configuration does not take is not told as set, nor is the login in it', async () => {
  serve(hub, [a1]);
  await sync();
  const set = async () => (await localAudit(m.ctx)).entries.filter((e) => e.what === 'config').map((e) => e.after);
  for (const proxy of ['person:s3cret@proxy:3128', 'http://person:s3/cret@proxy:3128'])
    await expect(setConfig(m.ctx, 'proxy', proxy)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  expect(await set()).toEqual([]);
  await setConfig(m.ctx, 'proxy', 'http://person:s3cret@proxy:3128');
  expect(await set()).toEqual(['http://proxy:3128']);
  await whole();
});
