// A publication on a whole fleet: from the acknowledgement to the last machine that reports the version verified, beside `git pull`.
// `fleet [REAL] [SIMULATED] [ROUNDS]`: machines with a HOME on disk, and machines at protocol level.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import WebSocket from 'ws';
import {
  BUNDLES,
  call,
  cpuSeconds,
  finish,
  firstLine,
  goal,
  joinMachine,
  machineLine,
  median,
  profiling,
  quantile,
  shown,
  startHub,
} from './bench-hub.ts';
import { loadedSample } from './loaded-sample.ts';
import { git, startGit } from './peers.ts';
import { changed, inRepository, makePlugin, market, publish } from './plugins.ts';

const [real = 20, simulated = 200, rounds = 3] = process.argv.slice(2).map(Number);
const ENGINES_A_PROCESS = 50;
/** Each machine would have a process, and four threads that wait for its disk, of its own. */
const THREADS = 64;
const PULLS = Math.min(real, 40);
const PULLS_AT_ONCE = 8;

const root = await mkdtemp(join(tmpdir(), 'hv-bench-fleet-'));
const hub = await startHub();
const repository = await startGit();
const children: ChildProcess[] = [];
const shelf = await market();
console.log(machineLine());
try {
  // What else a marketplace holds: here on the shelf, for whoever installs it; in the repository for all who pull.
  for (const other of shelf) await publish(hub, other, ['nobody']);
  let plugin = makePlugin('typical', 7, 8, 43_000);
  await publish(hub, plugin);
  const began = performance.now();
  const ready: Promise<string>[] = [];
  for (let first = 0; first < real; first += ENGINES_A_PROCESS) {
    const count = Math.min(ENGINES_A_PROCESS, real - first);
    ready.push(child('engines', [hub.url, hub.join, root, String(first), String(count)]));
  }
  const tokens: string[] = [];
  for (let i = 0; i < simulated; i++) tokens.push((await joinMachine(hub, `simulated-${i}`)).token);
  ready.push(child('simulated', [hub.url], tokens.join('\n')));
  await Promise.all(ready);
  console.log(
    `${real} machines on disk and ${simulated} at protocol level connected after ${Math.round(performance.now() - began)} ms`,
  );

  const arrivals = await watch();
  const totals: number[] = [];
  const each: number[] = [];
  const spent = { hub: 0, machines: 0 };
  for (let round = 1; round <= rounds; round++) {
    plugin = changed(plugin, `1.0.${round}`, `Line ${round}.`);
    const all = arrivals(plugin.version, real + simulated);
    const before = cpu();
    await publish(hub, plugin);
    const acknowledged = performance.now();
    const times = [...(await all).values()].map((at) => Math.max(0, at - acknowledged));
    each.push(...times);
    totals.push(Math.max(...times));
    const after = cpu();
    spent.hub += after.hub - before.hub;
    spent.machines += after.machines - before.machines;
  }
  console.log(
    `published → all verified: ${shown(totals)}; per machine p50 ${Math.round(quantile(each, 0.5))} ms, p99 ${Math.round(quantile(each, 0.99))} ms`,
  );
  console.log(
    `processor seconds a round: hub ${(spent.hub / rounds).toFixed(2)}, all machines ${(spent.machines / rounds).toFixed(2)}`,
  );
  goal(`${real + simulated} machines verified`, median(totals), '<=', 5000, 'ms');
  for (const one of children) one.kill();
  const homes = Array.from({ length: real }, (_none, i) => join(root, `real-${i}`));
  const { asked, loaded } = await loadedSample(homes, plugin);
  console.log(`${loaded} of ${asked} sampled machines load ${plugin.version} in Claude Code`);
  goal('sampled machines that load it', loaded / asked, '>=', 1);
  const pull = await pulls();
  const whole = (pull / PULLS) * (real + simulated);
  console.log(
    `git pull of ${PULLS} machines, ${PULLS_AT_ONCE} at once: ${Math.round(pull)} ms, so ${Math.round(whole)} ms for as many as above`,
  );
  goal('fleet, hub : git pull', median(totals) / whole, '<=', 0.1);
} finally {
  for (const one of children) one.kill();
  await repository.close();
  await hub.stop();
  await rm(root, { recursive: true, force: true });
}
finish();

function cpu(): { hub: number; machines: number } {
  return { hub: cpuSeconds(hub.pid), machines: children.reduce((sum, one) => sum + cpuSeconds(one.pid ?? 0), 0) };
}

function child(name: string, args: string[], input = ''): Promise<string> {
  const one = spawn(process.execPath, [...profiling, join(BUNDLES, `${name}.child.mjs`), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, UV_THREADPOOL_SIZE: String(THREADS) },
  });
  children.push(one);
  one.stdin?.end(input);
  return firstLine(one);
}

/** Listens for progress; answers a function that resolves with when each machine reported a version verified. */
async function watch(): Promise<(version: string, machines: number) => Promise<Map<string, number>>> {
  const socket = new WebSocket(`${hub.url.replace('http', 'ws')}/ws/plugins`, {
    headers: { authorization: `Bearer ${hub.admin}` },
    perMessageDeflate: false,
  });
  await new Promise<void>((resolve) => socket.once('open', () => resolve()));
  const { seq } = await call(hub.url, 'GET', '/api/events?limit=1', hub.admin);
  socket.send(JSON.stringify({ type: 'resume', seq, watch: true }));
  let hear: (progress: { machine: string; version: string; state: string }) => void = () => {};
  socket.on('message', (data) => {
    const message = JSON.parse(String(data));
    if (message.type === 'progress') hear(message.progress);
  });
  return (version, machines) =>
    new Promise((resolve) => {
      const at = new Map<string, number>();
      hear = (progress) => {
        if (progress.version !== version || progress.state !== 'verified') return;
        if (!at.has(progress.machine)) at.set(progress.machine, performance.now());
        if (at.size === machines) resolve(at);
      };
    });
}

/** Milliseconds until PULLS clones of a marketplace have pulled one changed file. */
async function pulls(): Promise<number> {
  const files = (version: string) =>
    new Map([...shelf, { ...makePlugin('typical', 7, 8, 43_000), version }].flatMap(inRepository));
  const url = `http://127.0.0.1:${repository.port}${repository.path}`;
  await repository.commit(files('1.0.0'));
  for (let i = 0; i < PULLS; i++) await git(root, 'clone', '-q', '--depth', '1', url, `clone-${i}`);
  await repository.commit(files('1.0.1'));
  const began = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: PULLS_AT_ONCE }, async () => {
      while (next < PULLS) await git(join(root, `clone-${next++}`), 'pull', '-q');
    }),
  );
  return performance.now() - began;
}
