import { type BigIntStats, statSync } from 'node:fs';
import { readFileOrNull } from './file-port.ts';

/**
 * Small files of ours as they were understood when last read: one change asks for the same few a dozen times. A file is taken to
 * be the same while its inode, size and times are; ours are replaced whole, so that a new content is a new inode.
 */
interface Kept {
  same: string;
  value: unknown;
}

const kept = new Map<string, Kept>();
const MOST = 500;

/**
 * What `understand` makes of a file's bytes, null where there is none. The value is shared and frozen: copy it before changing it.
 * @param options.settledMs for a file that people edit in place: kept only once it has not changed for so long, milliseconds,
 *   because a second edit within a tick of the file system's clock would not show
 * @throws HaiveError READ_ONLY, IO_ERROR, and what `understand` throws
 */
export async function readKept<T>(
  path: string,
  understand: (bytes: Buffer | null) => T,
  options: { settledMs?: number } = {},
): Promise<T> {
  const same = identityOf(path, options.settledMs);
  const before = kept.get(path);
  if (same !== null && before?.same === same) return before.value as T;
  kept.delete(path);
  const value = understand(await readFileOrNull(path));
  if (same !== null) keep(path, same, value);
  return value;
}

/**
 * Keeps what this process has just written, so that it need not be read again. Only for files that others write under the same lock, or
 * that are named by what they hold.
 * @param value what `understand` would make of the bytes; frozen from now on
 */
export function keepWritten(path: string, value: unknown): void {
  const same = identityOf(path);
  if (same !== null) keep(path, same, value);
}

function keep(path: string, same: string, value: unknown): void {
  if (kept.size >= MOST) kept.clear();
  kept.set(path, { same, value: freeze(value) });
}

/** A file as it lies there now: replaced or changed, it has another. Null where there is none, or it has not settled. */
function identityOf(path: string, settledMs = 0): string | null {
  let stat: BigIntStats | undefined;
  try {
    stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return null;
  }
  if (stat === undefined || (settledMs > 0 && Date.now() - Number(stat.mtimeMs) < settledMs)) return null;
  return `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) freeze(part);
  return Object.freeze(value);
}
