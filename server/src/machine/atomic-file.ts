import * as fs from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { HaiveError } from '../domain/errors.ts';
import { errnoOf, type FilePort, fileError, lookAt, removeFile } from './file-port.ts';

/** Where a path really leads: links in its last part are followed, also one whose target does not exist yet. */
export async function realTarget(path: string): Promise<string> {
  let here = path;
  for (let hops = 0; hops < 40; hops++) {
    try {
      if (lookAt(here)?.isSymbolicLink() !== true) return here;
      here = resolve(dirname(here), fs.readlinkSync(here));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'EINVAL' || errnoOf(error) === 'UNKNOWN') return here;
      throw fileError(error, path);
    }
  }
  throw new HaiveError('IO_ERROR', `${path} is a circle of links`);
}

/** The name of the half-written file beside `path`; only the holder of the lock writes it, so one name is enough. */
export function temporaryOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.hv-tmp`);
}

/**
 * Replaces a file whole: temporary file beside it, fsync, rename, fsync of the folder. A link is followed, so that
 * files kept elsewhere by a dotfile manager stay links; an existing file keeps its mode.
 * @param options.mode permission bits of a new file, 0644 by default
 * @param options.settled false: the folder is not synced, so that a loss of power may bring the old file back, whole
 * @throws HaiveError READ_ONLY when the file's mode allows nobody to write it, DISK_FULL, IO_ERROR
 */
export async function writeAtomic(
  port: FilePort,
  path: string,
  bytes: Uint8Array | string,
  options: { mode?: number; fsync?: boolean; settled?: boolean; temporary?: string } = {},
): Promise<void> {
  const target = await realTarget(path);
  const existing = await modeOf(target);
  if (existing !== null) checkWritable(target, existing);
  const temporary = options.temporary ?? temporaryOf(target);
  const fsync = options.fsync ?? true;
  const mode = existing ?? options.mode ?? 0o644;
  try {
    await removeFile(port, temporary);
    await port.writeFile(temporary, bytes, { mode, fsync });
    // The process's umask may have taken bits away that the file had.
    if (existing !== null) await port.chmod(temporary, mode);
    await port.rename(temporary, target);
  } catch (error) {
    await removeFile(port, temporary).catch(() => false);
    throw error;
  }
  if (fsync && options.settled !== false) await port.fsync(dirname(target));
}

async function modeOf(path: string): Promise<number | null> {
  try {
    const there = fs.statSync(path, { throwIfNoEntry: false });
    return there === undefined ? null : there.mode & 0o7777;
  } catch (error) {
    throw fileError(error, path);
  }
}

function checkWritable(path: string, mode: number): void {
  if ((mode & 0o222) !== 0) return;
  throw new HaiveError('READ_ONLY', `${path} is marked read-only`, { details: { path } });
}

/**
 * Fails early where `writeAtomic` would: a read-only file, folder or file system.
 * @throws HaiveError READ_ONLY
 */
export async function checkReplaceable(path: string): Promise<void> {
  const target = await realTarget(path);
  const mode = await modeOf(target);
  if (mode !== null) checkWritable(target, mode);
  let dir = dirname(target);
  for (;;) {
    try {
      fs.accessSync(dir, fs.constants.W_OK);
      return;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || dirname(dir) === dir) throw fileError(error, dir);
      dir = dirname(dir);
    }
  }
}
