// Ten thousand machines on one hub process, beside a bare `ws` server with as many connections: memory, a doorbell's way to the last of
// them, and what happens when the hub restarts. `sockets [MACHINES] [ROUNDS]`.
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type BenchHub,
  BUNDLES,
  call,
  finish,
  firstLine,
  goal,
  joinMachine,
  machineLine,
  median,
  quantile,
  shown,
  startHub,
} from './bench-hub.ts';
import { freePort } from './peers.ts';
import { makePlugin, publish } from './plugins.ts';

const [machines = 10_000, rounds = 11] = process.argv.slice(2).map(Number);
const PLUGINS = 60;
const JOINS_AT_ONCE = 16;

interface Said {
  done?: string;
  all?: string;
  open?: number;
  failures?: string[];
  /** From the first client that heard it to the last. */
  ms?: number;
  at: number;
}

const now = (): number => performance.timeOrigin + performance.now();
const root = await mkdtemp(join(tmpdir(), 'hv-bench-sockets-'));
const measured = (name: string): Record<string, string> => ({
  BENCH_MEMORY: join(root, `${name}.json`),
  NODE_OPTIONS: `--import=${join(BUNDLES, 'memory.child.mjs')}`,
});
const port = await freePort();
const start = (): Promise<BenchHub> => startHub({ dataDir: root, port, env: measured('hub') });
let hub = await start();
const { admin } = hub;
const bare = spawn(process.execPath, [join(BUNDLES, 'bare-ws.child.mjs')], {
  stdio: ['ignore', 'pipe', 'inherit'],
  env: { ...process.env, ...measured('bare') },
});
const clients: ChildProcess[] = [];
console.log(machineLine());
try {
  const barePort = Number(await firstLine(bare));
  for (let i = 0; i < PLUGINS; i++) await publish(hub, makePlugin(`plugin-${i}`, i, 3, 3000), ['some']);
  const began = performance.now();
  const tokens = await join_();
  console.log(`${machines} machines joined in ${Math.round(performance.now() - began)} ms`);

  // A process that has answered as many joins holds freed memory, which would hide what connections take.
  await hub.stop();
  hub = await start();
  const sides = { hub: client(), bare: client() };
  const perConnection = {
    hub: await connect('hub', hub.pid, port),
    bare: await connect('bare', bare.pid ?? 0, barePort),
  };
  for (const kind of ['rss', 'held'] as const) {
    const { hub: mine, bare: theirs } = perConnection;
    console.log(
      `${kind === 'rss' ? 'resident' : 'held by JavaScript'} per connection: hub ${kib(mine[kind])}, bare ws ${kib(theirs[kind])}`,
    );
  }
  goal('resident memory per connection, hub : bare ws', perConnection.hub.rss / perConnection.bare.rss, '<=', 1.35);

  const text = JSON.stringify({ type: 'doorbell', seq: 10_000, spread_ms: 10_000 });
  const times = { hub: [] as number[], bare: [] as number[] };
  for (let round = 0; round <= rounds; round++) {
    const rung = await ring(sides.hub, () =>
      call(hub.url, 'POST', '/api/plugins/publish', admin, { plugin_id: 'plugin-0', target_groups: [`r-${round}`] }),
    );
    const sent = await ring(sides.bare, () => fetch(`http://127.0.0.1:${barePort}/`, { method: 'POST', body: text }));
    // The first round warms both up.
    if (round === 0) continue;
    times.hub.push(rung);
    times.bare.push(sent);
  }
  console.log(`doorbell to the last of ${machines}: hub ${shown(times.hub)}, bare ws ${shown(times.bare)}`);
  goal('doorbell to the last machine, hub : ws sending to all', median(times.hub) / median(times.bare), '<=', 1);
  sides.bare.kill();

  await order(sides.hub, { do: 'renew' });
  const back = heard(sides.hub, 'back');
  const killed = performance.now();
  process.kill(hub.pid, 'SIGKILL');
  hub = await start();
  const [up, ready] = [now(), performance.now()];
  const answers = poll();
  const { failures = [] } = await back;
  const whole = performance.now() - killed;
  const slow = await answers();
  const wrong = failures.filter((line) => Number(line.split(' ')[0]) > up);
  console.log(
    `hub killed, listening again after ${Math.round(ready - killed)} ms, all ${machines} back after ${Math.round(whole)} ms; ` +
      `tries while it was down: ${failures.length - wrong.length}`,
  );
  for (const line of wrong.slice(0, 5)) {
    const [at, ...text] = line.split(' ');
    console.log(`  ${Number(at) - Math.round(up)} ms after it listened: ${text.join(' ')}`);
  }
  goal('reconnections that failed while the hub was up', wrong.length, '<=', 0, '');
  console.log(
    `GET /api/plugins meanwhile, ${slow.length} answers: p50 ${quantile(slow, 0.5).toFixed(1)} ms, slowest ${Math.max(...slow).toFixed(0)} ms`,
  );
  goal('GET /api/plugins meanwhile, p99', quantile(slow, 0.99), '<=', 100, 'ms');

  async function connect(side: 'hub' | 'bare', pid: number, to: number): Promise<{ rss: number; held: number }> {
    const before = await memory(side, pid);
    const { open, failures: failed = [] } = await order(sides[side], { do: 'connect', port: to, tokens });
    if (open !== machines) throw new Error(`${side}: only ${open} connected: ${failed.slice(0, 3).join(', ')}`);
    await sleep(1000);
    const after = await memory(side, pid);
    return { rss: (after.rss - before.rss) / machines, held: (after.held - before.held) / machines };
  }
} finally {
  for (const one of [bare, ...clients]) one.kill();
  await hub.stop();
  await rm(root, { recursive: true, force: true });
}
finish();

async function join_(): Promise<string[]> {
  const all: string[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: JOINS_AT_ONCE }, async () => {
      while (next < machines) all.push((await joinMachine(hub, `m-${next++}`)).token);
    }),
  );
  return all;
}

function client(): ChildProcess {
  const one = fork(join(BUNDLES, 'sockets.child.mjs'), [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  clients.push(one);
  return one;
}

/** The next message that says this. */
function heard(one: ChildProcess, what: string): Promise<Said> {
  return new Promise((resolve) => {
    const listen = (said: Said): void => {
      if (said.done !== what && said.all !== what) return;
      one.off('message', listen);
      resolve(said);
    };
    one.on('message', listen);
  });
}

function order(one: ChildProcess, what: { do: string; port?: number; tokens?: string[] }): Promise<Said> {
  const done = heard(one, what.do);
  one.send(what);
  return done;
}

/** Milliseconds from the first client that hears it to the last: what comes before, a registry's change, is no matter of sockets. */
async function ring(one: ChildProcess, send: () => Promise<unknown>): Promise<number> {
  await sleep(200);
  await order(one, { do: 'expect' });
  const all = heard(one, 'heard');
  await send();
  return (await all).ms ?? Number.NaN;
}

async function memory(name: string, pid: number): Promise<{ rss: number; held: number }> {
  const file = join(root, `${name}.json`);
  await rm(file, { force: true });
  process.kill(pid, 'SIGUSR2');
  for (;;) {
    await sleep(50);
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text !== '') return JSON.parse(text);
  }
}

/** Asks for the list over and over; the returned function ends it and answers with all times. */
function poll(): () => Promise<number[]> {
  const times: number[] = [];
  let over = false;
  const done = (async () => {
    while (!over) {
      const began = performance.now();
      await call(hub.url, 'GET', '/api/plugins', admin);
      times.push(performance.now() - began);
      await sleep(5);
    }
  })();
  return async () => {
    over = true;
    await done;
    return times;
  };
}

function kib(bytes: number): string {
  return `${(bytes / 1024).toFixed(1)} KiB`;
}
