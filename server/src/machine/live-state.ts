import { randomBytes } from 'node:crypto';
import { writeAtomic } from './files/atomic-file.ts';
import { readFileOrNull, removeFile } from './files/file-port.ts';
import { ensureRoot, type Machine } from './machine.ts';
import { identityOf } from './processes/process-identity.ts';

/**
 * The tiny file that the hook's sh reads instead of starting Node. Line 1: `v1 PID START EPOCH` (START is field 22 of
 * /proc/PID/stat, 0 where there is no /proc; EPOCH is seconds since 1970 of the last contact with the hub).
 * Line 2: the hook's ready output, or empty.
 */

export interface LiveState {
  pid: number;
  start: string;
  /** Seconds since 1970. */
  epoch: number;
  /** One line of JSON, or empty. */
  output: string;
}

/**
 * Says that a process keeps this machine in step.
 * @param state.output what the hook shall print, as a value; undefined prints nothing
 * @param state.pid this process by default
 */
export async function writeLive(m: Machine, state: { output?: unknown; pid?: number }): Promise<void> {
  await ensureRoot(m);
  const pid = state.pid ?? process.pid;
  const start = process.platform === 'linux' ? ((await identityOf(pid))?.start ?? '0') : '0';
  const epoch = Math.floor(m.clock().getTime() / 1000);
  const output = state.output === undefined ? '' : JSON.stringify(state.output);
  // Not under the lock, so the temporary file has a name of its own.
  const temporary = `${m.paths.live}.${process.pid}-${randomBytes(4).toString('hex')}.hv-tmp`;
  await writeAtomic(m.port, m.paths.live, `v1 ${pid} ${start} ${epoch}\n${output}\n`, { fsync: false, temporary });
}

/** What the file says, or null where there is none or it is of another form. */
export async function readLive(m: Machine): Promise<LiveState | null> {
  const [first = '', output = ''] = (await readFileOrNull(m.paths.live))?.toString('utf8').split('\n') ?? [];
  const match = /^v1 ([0-9]+) ([0-9]+) ([0-9]+)$/.exec(first);
  if (match === null) return null;
  return { pid: Number(match[1]), start: match[2] ?? '0', epoch: Number(match[3]), output };
}

/** Takes the file away if it names this process (or `pid`). */
export async function clearLive(m: Machine, pid = process.pid): Promise<void> {
  if ((await readLive(m))?.pid === pid) await removeFile(m.port, m.paths.live);
}
