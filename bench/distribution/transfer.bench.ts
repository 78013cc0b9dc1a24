// What a change costs on its way to a machine, beside git (and Verdaccio where given): one file of one plugin, on loopback and
// with 40 ms there and back; a machine that starts with 100 plugins of real Markdown; a publication.
// `transfer [ROUNDS] [--only file|cold|publish] [--verdaccio FOLDER]`.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { holdLiveChannel } from '../../server/src/client/live/hold.ts';
import { cpuSeconds, finish, goal, machineLine, median, shown, startHub } from './bench-hub.ts';
import { git, startGit, startProxy, startVerdaccio } from './peers.ts';
import {
  changed,
  inRepository,
  makePlugin,
  market,
  prepare,
  publish,
  send,
  sourceOf,
  type Version,
} from './plugins.ts';
import { realMachine } from './real-machine.ts';

const rounds = Number(process.argv[2]) || 7;
const only = process.argv[process.argv.indexOf('--only') + 1 || process.argv.length];
const does = (part: string): boolean => only === undefined || only === part;
const at = process.argv.indexOf('--verdaccio');
const verdaccioFolder = at === -1 ? undefined : process.argv[at + 1];

const root = await mkdtemp(join(tmpdir(), 'hv-bench-transfer-'));
const hub = await startHub();
const repository = await startGit();
console.log(machineLine());
try {
  const plugins = await market();
  await repository.commit(new Map(plugins.flatMap(inRepository)));
  for (const plugin of plugins) await publish(hub, plugin);
  const files = plugins.reduce((sum, { files }) => sum + files.size + 1, 0);
  const bytes = plugins.reduce((sum, { files }) => sum + [...files.values()].join('').length, 0);
  console.log(`100 plugins: ${files} files, ${(bytes / 1e6).toFixed(1)} MB`);
  if (does('cold')) await cold();
  if (does('file')) for (const delay of [0, 20]) await oneFile(plugins, delay);
  if (verdaccioFolder !== undefined && does('publish')) await publication(verdaccioFolder);
} finally {
  await repository.close();
  await hub.stop();
  await rm(root, { recursive: true, force: true });
}
finish();

async function cold(): Promise<void> {
  const [ours, theirs] = [await startProxy(hub.port, 0), await startProxy(repository.port, 0)];
  const walls: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] };
  const bytes = { ours: 0, theirs: 0 };
  for (let i = 0; i < rounds; i++) {
    ours.reset();
    let began = performance.now();
    await realMachine(join(root, `cold-${i}`), ours.url, hub.join, `cold-${i}`);
    walls.ours.push(performance.now() - began);
    bytes.ours = ours.bytes();
    theirs.reset();
    began = performance.now();
    await git(root, 'clone', '-q', '--depth', '1', `${theirs.url}${repository.path}`, `clone-${i}`);
    walls.theirs.push(performance.now() - began);
    bytes.theirs = theirs.bytes();
  }
  console.log(
    `cold, 100 plugins: hub ${shown(walls.ours)} ${bytes.ours} bytes; git clone ${shown(walls.theirs)} ${bytes.theirs} bytes`,
  );
  goal('cold, bytes, hub : git clone --depth 1', bytes.ours / bytes.theirs, '<=', 0.9);
  goal('cold, wall, hub : git clone --depth 1', median(walls.ours) / median(walls.theirs), '<=', 1.3);
  ours.close();
  theirs.close();
}

async function oneFile(plugins: Version[], delay: number): Promise<void> {
  const [ours, theirs] = [await startProxy(hub.port, delay), await startProxy(repository.port, delay)];
  const ctx = await realMachine(join(root, `machine-${delay}`), ours.url, hub.join, `machine-${delay}`);
  await git(root, 'clone', '-q', '--depth', '1', `${theirs.url}${repository.path}`, `pull-${delay}`);
  const stop = new AbortController();
  let connected: () => void = () => {};
  const ready = new Promise<void>((resolve) => {
    connected = resolve;
  });
  let installed: (() => void) | undefined;
  const channel = holdLiveChannel(ctx, {
    signal: stop.signal,
    onState: (state) => state === 'connected' && connected(),
    // The report is the first step after all is on disk, fsynced.
    onProgress: ({ step }) => step === 'report' && installed?.(),
    onError: (error) => console.error(error.code, error.message),
  });
  await ready;
  await new Promise((resolve) => setTimeout(resolve, 500));
  const walls: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] };
  const bytes: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] };
  for (let i = 1; i <= rounds; i++) {
    const plugin = plugins[i] as Version;
    const next = changed(plugin, `1.${delay}.${i}`, `One more line, number ${i}.`);
    plugins[i] = next;
    const arrived = new Promise<void>((resolve) => {
      installed = resolve;
    });
    ours.reset();
    const publishing = publish(hub, next);
    let acknowledged = 0;
    void publishing.then(() => {
      acknowledged = performance.now();
    });
    await Promise.all([arrived, publishing]);
    walls.ours.push(performance.now() - acknowledged);
    // The report follows the installation; its bytes count too.
    await new Promise((resolve) => setTimeout(resolve, 300));
    bytes.ours.push(ours.bytes());
    await repository.commit(new Map(inRepository(next)));
    theirs.reset();
    const began = performance.now();
    await git(join(root, `pull-${delay}`), 'pull', '-q');
    walls.theirs.push(performance.now() - began);
    bytes.theirs.push(theirs.bytes());
  }
  stop.abort();
  await channel.catch(() => undefined);
  ours.close();
  theirs.close();
  const where = delay === 0 ? 'loopback' : `${2 * delay} ms round trip`;
  console.log(
    `one file, ${where}: hub ${shown(walls.ours)}, ${shown(bytes.ours, 'B')}; git pull ${shown(walls.theirs)}, ${shown(bytes.theirs, 'B')}`,
  );
  goal(`one file, wall, ${where}, hub : git pull`, median(walls.ours) / median(walls.theirs), '<=', 0.25);
  goal(`one file, bytes, ${where}, hub : git pull`, median(bytes.ours) / median(bytes.theirs), '<=', 0.25);
}

async function publication(from: string): Promise<void> {
  const peer = await startVerdaccio(from);
  try {
    for (const [kind, files, size] of [
      ['typical', 8, 43_000],
      ['large', 179, 1_600_000],
    ] as const) {
      const walls: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] };
      const before = { ours: cpuSeconds(hub.pid), theirs: cpuSeconds(peer.pid) };
      for (let i = 0; i < rounds; i++) {
        const plugin = makePlugin(`fresh-${kind}-${i}`, 5000 + i + files, files, size);
        const ready = prepare(plugin);
        let began = performance.now();
        await send(hub, ready, ['nobody']);
        walls.ours.push(performance.now() - began);
        const tarball = gzipSync(Buffer.concat(sourceOf(plugin).map((f) => Buffer.from(f.bytes))));
        began = performance.now();
        await peer.put(plugin.name, '1.0.0', tarball);
        walls.theirs.push(performance.now() - began);
      }
      const cpu = (pid: number, since: number): string =>
        `${(((cpuSeconds(pid) - since) / rounds) * 1000).toFixed(0)} ms of processor each`;
      console.log(
        `publish, ${kind}: hub ${shown(walls.ours)}, ${cpu(hub.pid, before.ours)} (three calls; packed before, as the tarball is); ` +
          `Verdaccio PUT ${shown(walls.theirs)}, ${cpu(peer.pid, before.theirs)}`,
      );
      goal(`publish, ${kind}, hub : Verdaccio PUT`, median(walls.ours) / median(walls.theirs), '<=', 0.3);
    }
  } finally {
    await peer.close();
  }
}
