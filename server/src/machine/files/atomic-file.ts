import * as fs from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve, sep } from 'node:path';
import { errnoOf, HaiveError } from '../../domain/errors.ts';
import type { Owner } from '../owner.ts';
import { sha256Of } from './content-file.ts';
import { type FilePort, fileError, lookAt, readBytes, removeFile, statOf } from './file-port.ts';
import { checkLink, leadsNowhere } from './make-dirs.ts';

/** Where a path really leads: links in its last part are followed, also one whose target does not exist yet. */
export async function realTarget(path: string): Promise<string> {
  let here = path;
  for (let hops = 0; hops < 40; hops++) {
    try {
      if (lookAt(here)?.isSymbolicLink() !== true) return here;
      here = leadsTo(here, fs.readlinkSync(here));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'EINVAL' || errnoOf(error) === 'UNKNOWN') return here;
      throw fileError(error, path, 'read');
    }
  }
  throw new HaiveError('IO_ERROR', `${path} is a circle of links`);
}

/** The same for who will write there. @throws HaiveError PATH_OCCUPIED where the folder that a link leads to is not there */
async function targetToWrite(path: string): Promise<string> {
  const target = await realTarget(path);
  if (target !== path && statOf(dirname(target))?.isDirectory() !== true) throw leadsNowhere(path, dirname(target));
  return target;
}

/** As the operating system does: from the real folder of the link, and each `..` up from where a folder really lies. */
function leadsTo(link: string, text: string): string {
  const from = isAbsolute(text) ? text : fs.realpathSync.native(dirname(link)) + sep + text;
  try {
    return join(fs.realpathSync.native(dirname(from)), basename(from));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return resolve(from);
  }
}

/** The name of the half-written file beside `path`; only the holder of the lock writes it, so one name is enough. */
export function temporaryOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.hv-tmp`);
}

/** Temporary files that lie ready beside their targets, by path: `writeAtomic` of the same bytes then only renames. */
export type Prepared = Map<string, { sha256: string; mode: number }>;

/**
 * The first half of a `writeAtomic` to come, so that many files are waited for at once. Whoever calls syncs the temporary file. Where
 * there is no folder to write into nothing is prepared.
 * @throws HaiveError as writeAtomic
 */
export async function prepareAtomic(
  port: FilePort,
  prepared: Prepared,
  { path, text, mode: newMode }: { path: string; text: Uint8Array | string; mode?: number },
): Promise<void> {
  const target = await realTarget(path);
  if (statOf(dirname(target))?.isDirectory() !== true) return;
  const existing = await existingAt(target);
  if (existing !== null) checkWritable(target, existing.mode);
  const mode = existing?.mode ?? newMode ?? 0o644;
  await writeTemporary(port, temporaryOf(target), text, { mode, existing, fsync: false });
  prepared.set(temporaryOf(target), { sha256: sha256Of(text), mode });
}

/**
 * Replaces a file whole: temporary file beside it, fsync, rename, fsync of the folder. A link is followed, so that
 * files kept elsewhere by a dotfile manager stay links; an existing file keeps its mode, and its
 * owner where root replaces it.
 * @param options.mode permission bits of a new file, 0644 by default
 * @param options.secret the file is for its owner alone, also where others could read the one that is there
 * @param options.settled false: the folder is not synced, so that a loss of power may bring the old file back, whole
 * @param options.readBack what was written is read again before it gets into place
 * @param options.prepared what `prepareAtomic` wrote, and its caller synced and, where that matters, read back
 * @throws HaiveError READ_ONLY when the file's mode allows nobody to write it, PATH_OCCUPIED where a link leads nowhere, DISK_FULL, IO_ERROR, VERIFY_FAILED
 */
export async function writeAtomic(
  port: FilePort,
  path: string,
  bytes: Uint8Array | string,
  options: {
    mode?: number;
    secret?: boolean;
    fsync?: boolean;
    settled?: boolean;
    temporary?: string;
    prepared?: Prepared | undefined;
    readBack?: boolean;
  } = {},
): Promise<void> {
  const target = await targetToWrite(path);
  const existing = await existingAt(target);
  if (existing !== null) checkWritable(target, existing.mode);
  const temporary = options.temporary ?? temporaryOf(target);
  const fsync = options.fsync ?? true;
  const mode = options.secret ? (existing?.mode ?? 0o600) & 0o700 : (existing?.mode ?? options.mode ?? 0o644);
  const ready = options.prepared?.get(temporary);
  options.prepared?.delete(temporary);
  const isReady = ready?.mode === mode && ready.sha256 === sha256Of(bytes);
  if (!isReady) await writeTemporary(port, temporary, bytes, { mode, existing, fsync });
  const check = async (): Promise<void> => {
    if (isReady || options.readBack !== true || (await readBytes(temporary)).equals(Buffer.from(bytes))) return;
    throw new HaiveError('VERIFY_FAILED', `${path} does not read back as it was written`, {
      details: { path },
      hint: 'Look at the disk; the next `hv sync` writes it again.',
    });
  };
  await putInPlace(port, temporary, target, { check, settled: fsync && options.settled !== false });
}

async function putInPlace(
  port: FilePort,
  temporary: string,
  target: string,
  { check, settled }: { check?: () => Promise<void>; settled: boolean },
): Promise<void> {
  try {
    await check?.();
    await port.rename(temporary, target);
  } catch (error) {
    await removeFile(port, temporary).catch(() => false);
    throw error;
  }
  if (settled) await port.fsync(dirname(target));
}

/**
 * The second half of what `prepareAtomic` began, without the bytes.
 * @returns false where nothing lies ready, or something else: that is for `writeAtomic`
 * @throws HaiveError READ_ONLY, IO_ERROR
 */
export async function placePrepared(
  port: FilePort,
  path: string,
  wanted: { sha256: string; mode: number },
  prepared: Prepared | undefined,
): Promise<boolean> {
  const target = await realTarget(path);
  const existing = await existingAt(target);
  if (existing !== null) checkWritable(target, existing.mode);
  const temporary = temporaryOf(target);
  const ready = prepared?.get(temporary);
  if (ready?.sha256 !== wanted.sha256 || ready.mode !== (existing?.mode ?? wanted.mode)) return false;
  prepared?.delete(temporary);
  await putInPlace(port, temporary, target, { settled: true });
  return true;
}

async function writeTemporary(
  port: FilePort,
  temporary: string,
  bytes: Uint8Array | string,
  { mode, existing, fsync }: { mode: number; existing: Existing | null; fsync: boolean },
): Promise<void> {
  try {
    await removeFile(port, temporary);
    await port.writeFile(temporary, bytes, { mode, fsync, owner: existing?.owner });
    // The process's umask may not take bits away that the file had.
    if (existing !== null) await port.chmod(temporary, mode);
  } catch (error) {
    await removeFile(port, temporary).catch(() => false);
    throw error;
  }
}

/** What is to be replaced: its permission bits, and whose it is. */
interface Existing {
  mode: number;
  owner: Owner;
}

async function existingAt(path: string): Promise<Existing | null> {
  try {
    const there = fs.statSync(path, { throwIfNoEntry: false });
    return there === undefined ? null : { mode: there.mode & 0o7777, owner: { uid: there.uid, gid: there.gid } };
  } catch (error) {
    throw fileError(error, path, 'read');
  }
}

function checkWritable(path: string, mode: number): void {
  if ((mode & 0o222) !== 0) return;
  throw new HaiveError('READ_ONLY', `${path} is marked read-only`, { details: { path } });
}

/**
 * Fails early where `writeAtomic` would: a read-only file, folder or file system, a link into a folder that is not there.
 * @throws HaiveError READ_ONLY, PATH_OCCUPIED
 */
export async function checkReplaceable(path: string): Promise<void> {
  const target = await targetToWrite(path);
  const existing = await existingAt(target);
  if (existing !== null) checkWritable(target, existing.mode);
  let dir = dirname(target);
  for (;;) {
    try {
      fs.accessSync(dir, fs.constants.W_OK);
      return;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || dirname(dir) === dir) throw fileError(error, dir);
      checkLink(dir);
      dir = dirname(dir);
    }
  }
}
