import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf, HaiveError } from '../../domain/errors.ts';
import { listDir, makeDirs, readFileOrNull, removeFile, statOf } from '../files/file-port.ts';
import { ensureRoot, type Machine } from '../machine.ts';
import { livenessOf, ownIdentity, type ProcessIdentity } from './process-identity.ts';

/**
 * One holder at a time on this HOME, without anything left behind by one that dies.
 *
 * `lock/N` are claims, made by link(2) of a complete file, so that a claim is never seen half-written. The holder is
 * the live process named by the highest N; `lock/N.done` says that it has finished. Whoever finds the highest claim done
 * or its process dead links N+1; the link fails where another was faster. The highest claim is never deleted or replaced,
 * so numbers never start again, and a listing of the folder cannot miss it.
 */

interface Claim extends Partial<ProcessIdentity> {
  purpose?: string;
  /** ISO-8601. */
  at?: string;
}

/** A claim by another host or container cannot be looked at; nothing of ours holds the lock longer than this. */
const FOREIGN_CLAIM_MS = 15 * 60 * 1000;

async function claimNumbers(dir: string): Promise<number[]> {
  const entries = await listDir(dir);
  return entries
    .filter((entry) => /^[1-9][0-9]*$/.test(entry.name))
    .map((entry) => Number(entry.name))
    .sort((a, b) => b - a);
}

async function readClaim(path: string): Promise<Claim | null> {
  const bytes = await readFileOrNull(path);
  if (bytes === null) return null;
  try {
    return JSON.parse(bytes.toString('utf8')) as Claim;
  } catch {
    return {};
  }
}

async function isFree(path: string, claim: Claim): Promise<boolean> {
  if (statOf(`${path}.done`) !== null) return true;
  const { pid, start, host, place } = claim;
  const known = pid !== undefined && start !== undefined && host !== undefined && place !== undefined;
  const liveness = known ? await livenessOf({ pid, start, host, place }) : 'unknown';
  if (liveness !== 'unknown') return liveness === 'dead';
  // The file system's clock on both sides, for hosts that disagree about the time.
  const age = Date.now() - (statOf(path)?.mtimeMs ?? 0);
  return age > FOREIGN_CLAIM_MS;
}

async function linkClaim(m: Machine, number: number, claim: Claim): Promise<boolean> {
  const dir = m.paths.lock;
  const path = join(dir, String(number));
  const text = JSON.stringify(claim);
  const temporary = join(dir, `.${process.pid}-${randomBytes(6).toString('hex')}`);
  await m.port.writeFile(temporary, text);
  try {
    await m.port.link(temporary, path);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'EEXIST') return false;
    if (errno === undefined || !['EPERM', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP', 'EMLINK'].includes(errno)) throw error;
    // No hard links here (exFAT, some network shares): the next best thing that fails where the file exists.
    try {
      await m.port.writeFile(path, text, { exclusive: true });
    } catch (again) {
      if (errnoOf(again) === 'EEXIST') return false;
      throw again;
    }
  } finally {
    await removeFile(m.port, temporary).catch(() => false);
  }
  return true;
}

/** Tries once. Returns the claim's number, or the claim that is in the way. */
async function tryClaim(m: Machine, claim: Claim): Promise<number | Claim> {
  const dir = m.paths.lock;
  await ensureRoot(m);
  await makeDirs(m.port, dir);
  const [highest = 0] = await claimNumbers(dir);
  if (highest > 0) {
    const path = join(dir, String(highest));
    const holder = await readClaim(path);
    if (holder === null) return {};
    if (!(await isFree(path, holder))) return holder;
  }
  const number = highest + 1;
  if (!(await linkClaim(m, number, claim))) return {};
  const numbers = await claimNumbers(dir);
  if ((numbers[0] ?? 0) > number) {
    // What was listed above was old already: others have come and gone in between.
    await removeFile(m.port, join(dir, String(number)));
    return {};
  }
  for (const old of numbers.filter((n) => n < number)) {
    // The claim first: without its mark it would seem to be held, for the moment that it is not the highest anyway.
    await removeFile(m.port, join(dir, String(old)));
    await removeFile(m.port, join(dir, `${old}.done`));
  }
  return number;
}

async function clearDebris(m: Machine, number: number): Promise<void> {
  for (const entry of await listDir(m.paths.lock)) {
    // A temporary file, or the mark of a claim that is gone (its cleaner died in between).
    const marked = /^([0-9]+)\.done$/.exec(entry.name)?.[1];
    if (marked === undefined ? !entry.name.startsWith('.') : Number(marked) >= number) continue;
    const path = join(m.paths.lock, entry.name);
    const age = Date.now() - (statOf(path)?.mtimeMs ?? Date.now());
    if (age > 60_000) await removeFile(m.port, path);
  }
}

async function release(m: Machine, number: number): Promise<void> {
  const path = join(m.paths.lock, String(number));
  // After `leave` the folder is gone, and the lock with it.
  if (statOf(path) !== null) await m.port.writeFile(`${path}.done`, '');
}

function describe(holder: Claim): string {
  if (holder.pid === undefined) return 'another process';
  return `process ${holder.pid} on ${holder.host} (${holder.purpose}, since ${holder.at})`;
}

/**
 * Runs `fn` while this process alone holds the machine's lock. Not reentrant.
 * @param purpose a word or two for whoever waits: `sync`, `leave`
 * @param options.waitMs how long to wait for another holder, milliseconds (10,000 by default)
 * @throws HaiveError LOCKED naming the holder, and whatever `fn` throws
 */
export async function withLock<T>(
  m: Machine,
  purpose: string,
  fn: () => Promise<T>,
  options: { waitMs?: number } = {},
): Promise<T> {
  const claim: Claim = { ...(await ownIdentity()), purpose, at: m.clock().toISOString() };
  const deadline = performance.now() + (options.waitMs ?? 10_000);
  let number: number;
  for (let delay = 5; ; delay = Math.min(delay * 1.5, 200)) {
    const got = await tryClaim(m, claim).catch((error: unknown): Claim => {
      // The folder was taken away in between by one that leaves.
      if (errnoOf(error) === 'ENOENT') return {};
      throw error;
    });
    if (typeof got === 'number') {
      number = got;
      break;
    }
    const left = deadline - performance.now();
    if (left <= 0) {
      const { pid, host, purpose: what, at } = got;
      throw new HaiveError('LOCKED', `The lock is held by ${describe(got)}`, {
        details: { pid, host, purpose: what, at },
      });
    }
    await sleep(Math.min(left, delay * (0.5 + Math.random())));
  }
  try {
    await clearDebris(m, number);
    return await fn();
  } finally {
    await release(m, number);
  }
}
