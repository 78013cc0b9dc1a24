// A cold installation of a median plugin (20 files, 100 KB) beside a plain copy with fsync, npm and git, and a rollback beside
// an installation. `install [ROUNDS] [--verdaccio FOLDER]`.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { installPlugin } from '../../server/src/client/install/index.ts';
import type { SyncProgress } from '../../server/src/client/sync/index.ts';
import { applyChange } from '../../server/src/machine/change/transaction.ts';
import { openMachine } from '../../server/src/machine/machine.ts';
import { machinePaths } from '../../server/src/machine/paths.ts';
import { withLock } from '../../server/src/machine/processes/lock.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { getRecord, readBlob } from '../../server/src/machine/store/blob-store.ts';
import { BUNDLES, finish, goal, machineLine, median, shown, startHub } from './bench-hub.ts';
import { checkCost } from './check-cost.ts';
import { git, startGit, startVerdaccio, type Verdaccio } from './peers.ts';
import { changed, makePlugin, publish, sourceOf, type Version } from './plugins.ts';
import { realMachine } from './real-machine.ts';

const execute = promisify(execFile);
const rounds = Number(process.argv[2]) || 11;
const at = process.argv.indexOf('--verdaccio');
const verdaccioFolder = at === -1 ? undefined : process.argv[at + 1];

const root = await mkdtemp(join(tmpdir(), 'hv-bench-install-'));
const hub = await startHub();
const repository = await startGit();
const registry = verdaccioFolder === undefined ? undefined : await startVerdaccio(verdaccioFolder);
const walls: Record<string, number[]> = {};
console.log(machineLine());
try {
  const home = join(root, 'home');
  const ctx = await realMachine(home, hub.url, hub.join, 'machine');
  const machine = openMachine({ paths: machinePaths({ home }), clock: () => new Date() });
  for (let i = 0; i < rounds; i++) {
    const plugin = makePlugin(`median-${i}`, 100 + i, 20, 100_000);
    await prepare(plugin, registry);
    // In turn, so that a busy machine slows all alike.
    await time('copy', () => copySynced(join(root, plugin.name), join(root, `copy-${i}`)));
    let onDisk = 0;
    const began = performance.now();
    await time('install', async () => {
      const onProgress = ({ step }: SyncProgress): void => {
        // The first step after all is on the disk, read back and live; what follows is the hub's knowledge of it.
        if (step === 'report') onDisk = performance.now();
      };
      const { sync } = await installPlugin(ctx, plugin.name, { onProgress });
      if (!sync?.changed.installed.some(({ name }) => name === plugin.name)) throw new Error('it was not installed');
    });
    note('installed', onDisk - began);
    await time('node -e 0', () => execute(process.execPath, ['-e', '0']));
    await time('git clone', () =>
      git(root, 'clone', '-q', '--depth', '1', `http://127.0.0.1:${repository.port}${repository.path}`, `clone-${i}`),
    );
    if (registry !== undefined) await time('npm install', () => npmInstall(plugin.name, registry, i));
    const cli = makePlugin(`cli-${i}`, 900 + i, 20, 100_000);
    await publish(hub, cli, ['nobody']);
    await time('hv install', () => hvInstall(cli.name, home));
    await engineOnly(plugin, i);
    await publish(hub, changed(plugin, '2.0.0', 'More.'), ['nobody']);
    await installPlugin(ctx, `${plugin.name}@2.0.0`);
    const older = await recordOf(plugin.name);
    await time('rollback', () =>
      withLock(machine, 'rollback', () => applyChange(machine, { install: [older], remove: [], reason: 'rollback' })),
    );
    if ((await readReceipts(machine)).plugins[plugin.name]?.version !== '1.0.0') throw new Error('not rolled back');
  }

  async function recordOf(name: string) {
    const kept = (await readReceipts(machine)).plugins[name]?.previous[0];
    const stored = kept === undefined ? null : await getRecord(machine, kept.digest);
    if (kept === undefined || stored === null) throw new Error(`no earlier version of ${name}`);
    const { id, version, digest, dependencies, keyid } = kept;
    return {
      entry: { id, name, version, digest, dependencies, origin: 'explicit' as const },
      record: stored.record,
      keyid,
    };
  }

  /** The engine alone, on a HOME that has the bytes already. */
  async function engineOnly(plugin: Version, i: number): Promise<void> {
    const receipt = (await readReceipts(machine)).plugins[plugin.name];
    const stored = receipt === undefined ? null : await getRecord(machine, receipt.digest);
    if (receipt === undefined || stored === null) throw new Error(`${plugin.name} is not there`);
    const other = openMachine({ paths: machinePaths({ home: join(root, `engine-${i}`) }), clock: () => new Date() });
    await mkdir(other.paths.blobs, { recursive: true });
    for (const { sha256 } of stored.record.files)
      await writeFile(join(other.paths.blobs, sha256), await readBlob(machine, sha256));
    const { id, version, digest, dependencies, keyid, name } = receipt;
    const entry = { id, name, version, digest, dependencies, origin: 'explicit' as const };
    const change = { install: [{ entry, record: stored.record, keyid }], remove: [], reason: 'install' as const };
    await time('engine', () => withLock(other, 'install', () => applyChange(other, change)));
  }
} finally {
  await registry?.close();
  await repository.close();
  await hub.stop();
  await rm(root, { recursive: true, force: true });
}

for (const [what, values] of Object.entries(walls)) console.log(`${what}: ${shown(values)}`);
const middle = (what: string): number => median(walls[what] ?? []);
goal('the engine, bytes at hand : plain copy with fsync', middle('engine') / middle('copy'), '<=', 1.5);
goal('from the hub, on disk and live : plain copy with fsync', middle('installed') / middle('copy'), '<=', 1.5);
console.log(`with the report to the hub : plain copy with fsync: ${(middle('install') / middle('copy')).toFixed(2)} ×`);
console.log(
  `hv install : git clone: ${(middle('hv install') / middle('git clone')).toFixed(2)} ×, of which Node's start alone: ${(middle('node -e 0') / middle('git clone')).toFixed(2)} ×`,
);
goal('from the hub, as in a session : git clone', middle('install') / middle('git clone'), '<=', 1);
if (registry === undefined) console.log('npm install: not measured; give --verdaccio FOLDER');
else goal('hv install : npm install', middle('hv install') / middle('npm install'), '<=', 1);
goal('rollback : install from the hub', middle('rollback') / middle('install'), '<=', 0.1);
const cost = checkCost(makePlugin('checked', 5, 20, 100_000));
const micro = Object.entries(cost).map(([what, us]) => `${what} ${us.toFixed(0)} µs`);
console.log(`CPU of the checks in one installation (20 files, 100 KB): ${micro.join(', ')}`);
finish();

async function time(what: string, run: () => Promise<unknown>): Promise<void> {
  const began = performance.now();
  await run();
  note(what, performance.now() - began);
}

function note(what: string, ms: number): void {
  walls[what] = [...(walls[what] ?? []), ms];
}

/** Puts the plugin into a folder, the registry, the repository and the hub. */
async function prepare(plugin: Version, npm: Verdaccio | undefined): Promise<void> {
  const folder = join(root, plugin.name);
  const files = sourceOf(plugin).map((file) => [file.path, Buffer.from(file.bytes)] as const);
  const manifest = Buffer.from(JSON.stringify({ name: plugin.name, version: plugin.version }));
  for (const [path, bytes] of [...files, ['package.json', manifest] as const]) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
  // One plugin in the repository at a time, so that a clone brings what an installation does.
  await repository.commit(new Map(files.map(([path, bytes]) => [path, bytes])));
  await publish(hub, plugin, ['nobody']);
  if (npm === undefined) return;
  const tarball = join(root, `${plugin.name}.tgz`);
  await execute('tar', ['czf', tarball, '--transform', 's,^\\.,package,', '-C', folder, '.']);
  await npm.put(plugin.name, plugin.version, await readFile(tarball));
}

async function copySynced(from: string, to: string): Promise<void> {
  await mkdir(to);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (entry.isDirectory()) await copySynced(join(from, entry.name), join(to, entry.name));
    else {
      const file = await open(join(to, entry.name), 'w');
      await file.writeFile(await readFile(join(from, entry.name)));
      await file.sync();
      await file.close();
    }
  }
  const folder = await open(to, 'r');
  await folder.sync();
  await folder.close();
}

async function npmInstall(name: string, { port }: Verdaccio, round: number): Promise<void> {
  const folder = join(root, `npm-${round}`);
  await mkdir(folder);
  await writeFile(join(folder, 'package.json'), '{"private": true}');
  const args = ['install', name, '--registry', `http://127.0.0.1:${port}`, '--cache', join(folder, '.cache')];
  const env = { HOME: folder, PATH: process.env.PATH ?? '' };
  await execute('npm', [...args, '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder, env });
  await readFile(join(folder, 'node_modules', name, '.claude-plugin/plugin.json'));
}

async function hvInstall(name: string, home: string): Promise<void> {
  const env = { HOME: home, PATH: process.env.PATH ?? '' };
  await execute(process.execPath, [join(BUNDLES, 'server/dist/cli.mjs'), 'install', name, '--json'], {
    cwd: home,
    env,
  });
}
