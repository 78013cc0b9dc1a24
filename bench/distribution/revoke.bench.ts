// A revocation on a whole fleet of machines with a HOME on disk: from the command to the last machine that confirms, with servers
// that run from the version ended. `revoke [MACHINES] [ROUNDS]`.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { access, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  BUNDLES,
  call,
  cpuSeconds,
  finish,
  firstLine,
  goal,
  machineLine,
  median,
  quantile,
  shown,
  startHub,
} from './bench-hub.ts';
import { makePlugin, publish, type Version } from './plugins.ts';

const [machines = 200, rounds = 3] = process.argv.slice(2).map(Number);
const ENGINES_A_PROCESS = 50;
/** One machine in so many runs a server from the version. */
const SERVER_EVERY = 10;

const root = await mkdtemp(join(tmpdir(), 'hv-bench-revoke-'));
const hub = await startHub();
const children: ChildProcess[] = [];
const servers: ChildProcess[] = [];
const totals: number[] = [];
const each: number[] = [];
/** Processor milliseconds, of one machine and of the hub for one machine. */
const cost: { machine: number[]; hub: number[] } = { machine: [], hub: [] };
let ended = 0;
console.log(machineLine());
try {
  const ready: Promise<string>[] = [];
  for (let first = 0; first < machines; first += ENGINES_A_PROCESS) {
    const count = Math.min(ENGINES_A_PROCESS, machines - first);
    const args = [join(BUNDLES, 'engines.child.mjs'), hub.url, hub.join, root, String(first), String(count)];
    const engine = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(engine);
    ready.push(firstLine(engine));
  }
  await Promise.all(ready);
  for (let round = 1; round <= rounds; round++) await revoke(makePlugin('bad', round, 8, 43_000), `1.0.${round}`);
} finally {
  for (const one of [...servers, ...children]) one.kill('SIGKILL');
  await hub.stop();
  await rm(root, { recursive: true, force: true });
}
console.log(
  `command → last of ${machines} machines confirmed: ${shown(totals)}; per machine p50 ${Math.round(quantile(each, 0.5))} ms`,
);
console.log(`processor time: ${shown(cost.machine)} a machine, ${shown(cost.hub)} of the hub for one`);
console.log(`servers that ran from it and were ended: ${ended} of ${servers.length}`);
goal(`revoked on ${machines} machines`, median(totals), '<=', 5000, 'ms');
if (ended !== servers.length) goal('servers ended', ended, '>=', servers.length, '');
finish();

function engineSeconds(): number {
  return children.reduce((sum, child) => sum + cpuSeconds(child.pid ?? 0), 0);
}

function rootOf(i: number): string {
  return join(root, `real-${i}`, '.claude/plugins/.haivemind');
}

async function revoke(plugin: Version, version: string): Promise<void> {
  await publish(hub, { ...plugin, version });
  await until(async () => (await have(version)) === machines);
  const running: ChildProcess[] = [];
  for (let i = 0; i < machines; i += SERVER_EVERY) {
    const [folder = ''] = await readdir(join(rootOf(i), 'versions/bad'));
    running.push(spawn('sleep', ['600'], { cwd: join(rootOf(i), 'versions/bad', folder), stdio: 'ignore' }));
  }
  servers.push(...running);
  const spent = engineSeconds();
  const hubSpent = cpuSeconds(hub.pid);
  const began = Date.now();
  const env = { HOME: root, PATH: process.env.PATH ?? '', HAIVEMIND_HUB_URL: hub.url, HAIVEMIND_TOKEN: hub.admin };
  const args = [join(BUNDLES, 'server/dist/cli.mjs'), 'revoke', `bad@${version}`, '--reason', 'bench', '--json'];
  await promisify(execFile)(process.execPath, args, { env });
  const said = Date.now() - began;
  let holders: { confirmed_at: string | null }[] = [];
  await until(async () => {
    const { revocations } = await call(hub.url, 'GET', `/api/revocations?plugin=plugin_bad_${version}`, hub.admin);
    holders = revocations[0].holders;
    return holders.length === machines && holders.every((h) => h.confirmed_at !== null);
  });
  const times = holders.map((h) => Date.parse(h.confirmed_at ?? '') - began);
  console.log(`round ${version}: hv revoke took ${said} ms, the last confirmation came after ${Math.max(...times)} ms`);
  cost.machine.push(((engineSeconds() - spent) * 1000) / machines);
  cost.hub.push(((cpuSeconds(hub.pid) - hubSpent) * 1000) / machines);
  totals.push(Math.max(...times));
  each.push(...times);
  for (let i = 0; i < machines; i++) await checkGone(i, version);
  await sleep(100);
  ended += running.filter((p) => p.exitCode !== null || p.signalCode !== null).length;
}

/** Unloaded, kept in quarantine, enabled nowhere. @throws Error when a machine only says so */
async function checkGone(i: number, version: string): Promise<void> {
  const kept = await readdir(join(rootOf(i), 'quarantine/bad'));
  const there = await access(join(rootOf(i), 'versions/bad')).then(
    () => true,
    () => false,
  );
  const pointer = await readFile(join(rootOf(i), '.claude-plugin/marketplace.json'), 'utf8').catch(() => '');
  const settings = await readFile(join(root, `real-${i}`, '.claude/settings.json'), 'utf8').catch(() => '');
  if (
    !kept.some((name) => name.startsWith(`${version}-`)) ||
    there ||
    /"bad/.test(pointer) ||
    /bad@collective/.test(settings)
  )
    throw new Error(`machine ${i} still has ${version}`);
}

async function have(version: string): Promise<number> {
  const { installed_on: on } = await call(hub.url, 'GET', `/api/plugins/bad@${version}`, hub.admin);
  return (on as { version: string; state: string }[]).filter((m) => m.version === version && m.state === 'verified')
    .length;
}

async function until(done: () => Promise<boolean>): Promise<void> {
  while (!(await done())) await sleep(50);
}
