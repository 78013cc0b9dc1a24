import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
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
  const spared = await ownLine();
  const all = process.platform === 'linux' ? linuxProcesses() : await psProcesses();
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
async function ownLine(): Promise<Set<number>> {
  const line = new Set([process.pid, process.ppid]);
  if (process.platform !== 'linux') return line;
  for (let pid = process.ppid; pid > 1; ) {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    pid = Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1] ?? 0);
    if (line.has(pid)) break;
    line.add(pid);
  }
  return line;
}

/** Read at once: the kernel answers from memory, and hundreds of small promises would cost ten times as much. */
function linuxProcesses(): { pid: number; texts: string[] }[] {
  const uid = process.getuid?.();
  const all: { pid: number; texts: string[] }[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || attempt(() => statSync(`/proc/${name}`).uid) !== uid) continue;
    const read = (file: string): string => attempt(() => readFileSync(`/proc/${name}/${file}`, 'utf8')) ?? '';
    const link = (file: string): string => attempt(() => readlinkSync(`/proc/${name}/${file}`)) ?? '';
    const root = read('environ')
      .split('\0')
      .filter((line) => line.startsWith('CLAUDE_PLUGIN_ROOT='));
    all.push({ pid: Number(name), texts: [...read('cmdline').split('\0'), ...root, link('cwd'), link('exe')] });
  }
  return all;
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
