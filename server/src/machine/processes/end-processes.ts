import { execFile } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { startTimeOf } from './process-identity.ts';

export interface FoundProcess {
  pid: number;
  /** As startTimeOf gives it: a number used again is another process. */
  start: string;
}

/** How long a process may take to end by itself, ms. */
const GRACE_MS = 1500;

/**
 * Processes of this user that run from one of these folders: by an argument, their program, their working folder, or the plugin
 * folder that the client gave them. Never this process or one that it comes from.
 * @param dirs absolute paths
 */
export async function processesUsing(dirs: readonly string[]): Promise<FoundProcess[]> {
  if (dirs.length === 0 || process.platform === 'win32') return [];
  const spared = ownLine();
  const all = process.platform === 'linux' ? linuxProcesses(dirs) : await psProcesses();
  const found: FoundProcess[] = [];
  for (const { pid, texts } of all) {
    if (spared.has(pid) || !texts.some((text) => dirs.some((dir) => speaksOf(text, dir)))) continue;
    const start = await startTimeOf(pid);
    if (start !== null) found.push({ pid, start });
  }
  return found;
}

/** `dir` itself or something in it; not `dir-2`. */
function speaksOf(text: string, dir: string): boolean {
  for (let at = text.indexOf(dir); at !== -1; at = text.indexOf(dir, at + 1)) {
    const after = text.charAt(at + dir.length);
    if (after === '' || after === '/' || after === '"' || after === "'" || after === ' ') return true;
  }
  return false;
}

/** This process and everybody it comes from: the session that brought the news must live to tell it. */
function ownLine(): Set<number> {
  const line = new Set([process.pid, process.ppid]);
  if (process.platform !== 'linux') return line;
  for (let pid = process.ppid; pid > 1; ) {
    const text = attempt(() => readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? '';
    pid = Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1] ?? 0);
    if (line.has(pid)) break;
    line.add(pid);
  }
  return line;
}

const ROOT_VARIABLE = 'CLAUDE_PLUGIN_ROOT=';

/**
 * Every process of the system is asked before a revocation is confirmed, so the asking is cheap: the kernel answers from memory at
 * once, bytes are searched as they come, and only what names one of the folders is read as text.
 */
function linuxProcesses(dirs: readonly string[]): { pid: number; texts: string[] }[] {
  const uid = process.getuid?.();
  const needles = dirs.map((dir) => Buffer.from(dir));
  const found: { pid: number; texts: string[] }[] = [];
  const { stackTraceLimit } = Error;
  // Most errors here say that a process is another user's or gone: nobody reads where they were thrown.
  Error.stackTraceLimit = 0;
  try {
    for (const name of readdirSync('/proc')) {
      const first = name.charCodeAt(0);
      if (first < 48 || first > 57) continue;
      const texts = textsNaming(`/proc/${name}/`, needles);
      if (texts.length > 0 && attempt(() => statSync(`/proc/${name}`).uid) === uid)
        found.push({ pid: Number(name), texts });
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  return found;
}

/** What a process says of itself with one of these folders in it. */
function textsNaming(proc: string, dirs: readonly Buffer[]): string[] {
  const link = (file: string): string | undefined => attempt(() => readlinkSync(proc + file));
  const exe = link('exe');
  // The kernel's own, another user's, or gone.
  if (exe === undefined) return [];
  const texts = [exe, link('cwd') ?? ''].filter((text) => text.includes('/'));
  for (const [file, start] of [
    ['cmdline', ''],
    ['environ', ROOT_VARIABLE],
  ] as const) {
    const bytes = readAtOnce(proc + file);
    if (!dirs.some((dir) => bytes.includes(dir))) continue;
    texts.push(
      ...bytes
        .toString('utf8')
        .split('\0')
        .filter((text) => text.startsWith(start)),
    );
  }
  const names = dirs.map((dir) => dir.toString('utf8'));
  return texts.filter((text) => names.some((name) => text.includes(name)));
}

let scratch = Buffer.alloc(0);

/** The bytes are good until the next call. Empty for a process that ended meanwhile, or may not be looked at. */
function readAtOnce(path: string): Buffer {
  if (scratch.length === 0) scratch = Buffer.allocUnsafeSlow(64 * 1024);
  const file = attempt(() => openSync(path, 'r'));
  if (file === undefined) return scratch.subarray(0, 0);
  try {
    let length = 0;
    for (;;) {
      if (length === scratch.length) scratch = Buffer.concat([scratch], 2 * length);
      const got = attempt(() => readSync(file, scratch, length, scratch.length - length, null)) ?? 0;
      if (got === 0) return scratch.subarray(0, length);
      length += got;
    }
  } finally {
    closeSync(file);
  }
}

/** Undefined for a process that ended meanwhile, or may not be looked at. */
function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

async function psProcesses(): Promise<{ pid: number; texts: string[] }[]> {
  const args = ['-xww', '-o', 'pid=,command='];
  const { stdout } = await promisify(execFile)('ps', args, { maxBuffer: 16 * 1024 * 1024 }).catch(() => ({
    stdout: '',
  }));
  return stdout.split('\n').flatMap((line) => {
    const match = /^\s*(\d+)\s+(.*)$/.exec(line);
    return match === null ? [] : [{ pid: Number(match[1]), texts: [match[2] ?? ''] }];
  });
}

/**
 * Asks processes to end, and ends those that do not.
 * @returns how many are gone
 */
export async function endProcesses(processes: readonly FoundProcess[]): Promise<number> {
  const living = async (): Promise<FoundProcess[]> => {
    const rest: FoundProcess[] = [];
    for (const p of processes) if ((await startTimeOf(p.pid)) === p.start) rest.push(p);
    return rest;
  };
  for (const { pid } of await living()) signal(pid, 'SIGTERM');
  let rest = await living();
  for (let waited = 0; rest.length > 0 && waited < GRACE_MS; waited += 50) {
    await sleep(50);
    rest = await living();
  }
  for (const { pid } of rest) signal(pid, 'SIGKILL');
  for (let waited = 0; rest.length > 0 && waited < GRACE_MS; waited += 25) {
    await sleep(25);
    rest = await living();
  }
  return processes.length - rest.length;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself meanwhile.
  }
}
