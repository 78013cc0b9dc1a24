import { createHash, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { HaiveError } from '../../domain/errors.ts';
import { ensureRoot, type Machine } from '../machine.ts';
import { makeDirs, readFileOrNull, removeFile, statOf } from './file-port.ts';

/** Files that are named by what they hold: put by several processes at once, without the lock. */

export function sha256Of(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Of the bytes at a path; null where there is no file. @throws HaiveError READ_ONLY, IO_ERROR */
export async function hashOnDisk(path: string): Promise<string | null> {
  const bytes = await readFileOrNull(path);
  return bytes === null ? null : sha256Of(bytes);
}

/** A file of a plugin holds something else than what was written into it a moment ago. */
export function spoilt(name: string, path: string): HaiveError {
  return new HaiveError('VERIFY_FAILED', `${name}: ${path} does not read back as it was written`, {
    details: { name, path },
  });
}

/**
 * Puts a file whole, under a temporary name of its own first.
 * @throws HaiveError DISK_FULL, READ_ONLY, IO_ERROR
 */
export async function putFile(m: Machine, dir: string, path: string, bytes: Uint8Array | string): Promise<void> {
  if (statOf(dir) === null) {
    await ensureRoot(m);
    await makeDirs(m.port, dir);
  }
  const temporary = join(dir, `.${process.pid}-${randomUUID()}.hv-tmp`);
  try {
    await m.port.writeFile(temporary, bytes);
    await m.port.rename(temporary, path);
  } catch (error) {
    await removeFile(m.port, temporary).catch(() => false);
    throw error;
  }
}
