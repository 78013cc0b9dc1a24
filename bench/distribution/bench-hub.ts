import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';

/** Folder of this run's bundles, set by bench/distribution.mjs. */
export const BUNDLES = process.env.HAIVEMIND_BENCH ?? '';

export interface BenchHub {
  url: string;
  port: number;
  pid: number;
  admin: string;
  /** May join and publish. */
  join: string;
  dataDir: string;
  stop(): Promise<void>;
}

/** Where processor profiles go, set by whoever wants to know what time is spent on. */
const PROFILE = process.env.HAIVEMIND_BENCH_PROFILE;
/** What a process is started with that is to be profiled. */
export const profiling =
  PROFILE === undefined ? [] : ['--cpu-prof', '--cpu-prof-interval', '300', '--cpu-prof-dir', PROFILE];

/** A hub as it ships, in a process and folder of its own. */
export async function startHub(
  options: { dataDir?: string; port?: number; env?: Record<string, string> } = {},
): Promise<BenchHub> {
  const root = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'hv-bench-hub-')));
  const home = join(root, 'home');
  await mkdir(home, { recursive: true });
  const dataDir = join(root, 'data');
  const cli = join(BUNDLES, 'server/dist/cli.mjs');
  const child = spawn(
    process.execPath,
    [
      ...profiling,
      cli,
      'hub',
      '--port',
      String(options.port ?? 0),
      '--json',
      '--data-dir',
      dataDir,
      '--log-level',
      'error',
    ],
    {
      env: { HOME: home, PATH: process.env.PATH ?? '', ...options.env },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const ready = JSON.parse(await firstLine(child)) as Record<string, string>;
  const { token } = JSON.parse(await readFile(join(home, '.haivemind/hub.json'), 'utf8')) as { token: string };
  return {
    url: String(ready.url),
    port: Number(ready.port),
    pid: child.pid ?? 0,
    admin: ready.admin_token ?? '',
    join: token,
    dataDir: root,
    async stop() {
      child.kill('SIGTERM');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      if (options.dataDir === undefined) await rm(root, { recursive: true, force: true });
    },
  };
}

/** The first line a child prints. */
export function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.once('exit', (code) => reject(new Error(`a child ended with ${code} before it was ready: ${text}`)));
    child.stdout?.on('data', (chunk) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end !== -1) resolve(text.slice(0, end));
    });
  });
}

/** One JSON call. @throws Error with the status and text of a refusal */
// biome-ignore lint/suspicious/noExplicitAny: a benchmark reads replies of many shapes
export async function call(url: string, method: string, path: string, token: string, body?: unknown): Promise<any> {
  const response = await fetch(url + path, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 300)}`);
  return JSON.parse(text);
}

export interface Joined {
  id: string;
  name: string;
  token: string;
}

export async function joinMachine(hub: BenchHub, name: string, groups: string[] = []): Promise<Joined> {
  const body = { name, platform: 'linux-x64', haivemind_version: '1.0.0', groups };
  const { machine, token } = await call(hub.url, 'POST', '/api/machines/join', hub.join, body);
  return { id: machine.id, name, token };
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

/** `median (min–max)`. */
export function shown(values: readonly number[], unit = 'ms'): string {
  const round = (n: number): string => (n >= 100 ? n.toFixed(0) : n.toFixed(1));
  return `${round(median(values))} ${unit} (${round(Math.min(...values))}–${round(Math.max(...values))})`;
}

/** Processor seconds that a process has used so far: what a figure costs on a machine that others use too. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

let failed = false;

/** Prints one goal with PASS or FAIL. */
export function goal(what: string, value: number, comparison: '<=' | '>=', limit: number, unit = '×'): void {
  const ok = comparison === '<=' ? value <= limit : value >= limit;
  if (!ok) failed = true;
  const text = `${what}: ${value.toFixed(value < 10 ? 2 : 0)} ${unit} (goal ${comparison} ${limit} ${unit})`;
  console.log(`${ok ? 'PASS' : 'FAIL'} ${text}`);
}

/** What the machine was, and how busy: absolute figures mean little on a busy one. */
export function machineLine(): string {
  const model = cpus()[0]?.model ?? 'unknown processor';
  return `Node ${process.versions.node}, ${availableParallelism()} cores (${model}), load ${loadavg()
    .map((n) => n.toFixed(1))
    .join(' ')}`;
}

export function finish(): void {
  process.exitCode = failed ? 1 : 0;
}
