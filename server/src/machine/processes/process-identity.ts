import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { promisify } from 'node:util';
import { errnoOf } from '../../domain/errors.ts';

/** Who a process is, so that its number used again by another is not taken for it. */
export interface ProcessIdentity {
  pid: number;
  /** Linux: ticks since boot (field 22 of /proc/PID/stat). macOS: seconds since 1970. Elsewhere empty. */
  start: string;
  host: string;
  /** Boot id and pid namespace on Linux; empty elsewhere. Processes with the same place can see each other. */
  place: string;
}

/** `unknown` where the process lives on another host or in another container. */
export type Liveness = 'alive' | 'dead' | 'unknown';

/** When a process started, in the form of `ProcessIdentity.start`; null when there is no such process. */
export async function startTimeOf(pid: number): Promise<string | null> {
  if (process.platform === 'linux') {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      // A zombie has ended; only its parent has not looked yet.
      return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? '');
    } catch {
      return null;
    }
  }
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') return null;
  }
  if (process.platform !== 'darwin') return '';
  try {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)]);
    const at = Date.parse(stdout.trim());
    return Number.isNaN(at) ? '' : String(Math.round(at / 1000));
  } catch {
    return '';
  }
}

let own: Promise<ProcessIdentity> | undefined;

async function findOwn(): Promise<ProcessIdentity> {
  let place = '';
  let start = '';
  if (process.platform === 'linux') {
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim();
    const namespace = await readlink('/proc/self/ns/pid').catch(() => '');
    place = boot === '' ? '' : `${boot} ${namespace}`;
    start = (await startTimeOf(process.pid)) ?? '';
  } else if (process.platform === 'darwin') {
    start = String(Math.round(performance.timeOrigin / 1000));
  }
  return { pid: process.pid, start, host: hostname(), place };
}

/** This process. */
export function ownIdentity(): Promise<ProcessIdentity> {
  own ??= findOwn();
  return own;
}

/** Identity of another process of this host, for a lease taken in its name. */
export async function identityOf(pid: number): Promise<ProcessIdentity | null> {
  if (pid === process.pid) return ownIdentity();
  const start = await startTimeOf(pid);
  return start === null ? null : { ...(await ownIdentity()), pid, start };
}

/** Whether the process that this identity names still runs, as far as can be seen from here. */
export async function livenessOf(other: ProcessIdentity): Promise<Liveness> {
  const here = await ownIdentity();
  if (other.place !== here.place || (here.place === '' && other.host !== here.host)) {
    const [boot] = other.place.split(' ');
    const [hereBoot] = here.place.split(' ');
    // Same host, another boot: it ended with the machine. Another container or host: cannot be seen.
    return other.host === here.host && boot !== hereBoot ? 'dead' : 'unknown';
  }
  const start = await startTimeOf(other.pid);
  if (start === null) return 'dead';
  if (start === '' || other.start === '') return 'alive';
  const tolerance = process.platform === 'darwin' ? 3 : 0;
  return Math.abs(Number(start) - Number(other.start)) <= tolerance ? 'alive' : 'dead';
}
