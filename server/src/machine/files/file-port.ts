import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { errnoOf, HaiveError } from '../../domain/errors.ts';
import { makeFolder, type Owner, openToWrite } from '../owner.ts';
import { syncEach, syncOne } from './disk-sync.ts';

export interface WriteOptions {
  /** Permission bits of a new file. */
  mode?: number;
  /** Wait until the bytes are on the disk. */
  fsync?: boolean;
  /** Fail with EEXIST where the file exists. */
  exclusive?: boolean;
  /** Behind what the file holds. */
  append?: boolean;
  /** Whose a new file becomes where root makes it; the owner of the folder by default. */
  owner?: Owner | undefined;
}

/** Every operation that changes the disk goes through here: the seam where tests count, stop and fail them. */
export interface FilePort {
  mkdir(path: string, options?: { mode?: number }): Promise<void>;
  writeFile(path: string, bytes: Uint8Array | string, options?: WriteOptions): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  rmdir(path: string): Promise<void>;
  symlink(target: string, path: string, type?: 'dir' | 'junction'): Promise<void>;
  chmod(path: string, mode: number): Promise<void>;
  link(existing: string, path: string): Promise<void>;
  /** Waits until a file or folder is on the disk as it is now. */
  fsync(path: string): Promise<void>;
  /** The same for several, at once. */
  syncAll(paths: readonly string[]): Promise<void>;
}

export const FILE_OPERATIONS = [
  'mkdir',
  'writeFile',
  'rename',
  'unlink',
  'rmdir',
  'symlink',
  'chmod',
  'link',
  'fsync',
  'syncAll',
] as const satisfies (keyof FilePort)[];

/** Bytes up to which a file is read or written at once: from memory that takes less than a trip through the thread pool. */
const AT_ONCE = 256 * 1024;

const sync = promisify(fs.fsync);

async function writeFile(path: string, bytes: Uint8Array | string, options: WriteOptions = {}): Promise<void> {
  const { mode = 0o644, owner } = options;
  const file = openToWrite(path, options.append ? 'a' : options.exclusive ? 'wx' : 'w', { mode, owner });
  try {
    if (bytes.length <= AT_ONCE) fs.writeFileSync(file, bytes);
    else await promisify(fs.writeFile)(file, bytes);
    if (options.fsync) await sync(file);
  } finally {
    fs.closeSync(file);
  }
}

/**
 * The operations as the operating system does them; errors come as it gives them. Only what waits for the disk goes through
 * the thread pool. What root makes in a person's folder is the person's; of a link nobody asks whose it is.
 */
export function realFilePort(): FilePort {
  return {
    async mkdir(path, options) {
      makeFolder(path, options);
    },
    writeFile,
    rename: async (from, to) => fs.renameSync(from, to),
    unlink: async (path) => fs.unlinkSync(path),
    rmdir: async (path) => fs.rmdirSync(path),
    symlink: async (target, path, type) => fs.symlinkSync(target, path, type),
    chmod: async (path, mode) => fs.chmodSync(path, mode),
    link: async (existing, path) => fs.linkSync(existing, path),
    fsync: syncOne,
    syncAll: syncEach,
  };
}

/** These three are answers, not faults: callers decide by them. */
const ANSWERS = new Set(['ENOENT', 'EEXIST', 'ENOTEMPTY']);

/**
 * A system error as one of ours: DISK_FULL, READ_ONLY or IO_ERROR. Anything else is returned as it is.
 * @param tried what was to be done with the path
 */
export function fileError(error: unknown, path: string, tried: 'read' | 'written' = 'written'): unknown {
  const errno = errnoOf(error);
  if (error instanceof HaiveError || errno === undefined || !/^E[A-Z0-9]+$/.test(errno)) return error;
  const details = { path, errno };
  if (errno === 'ENOSPC' || errno === 'EDQUOT') {
    return new HaiveError('DISK_FULL', `No space left while writing ${path}`, { details, cause: error });
  }
  if (errno === 'EROFS' || errno === 'EACCES' || errno === 'EPERM') {
    return new HaiveError('READ_ONLY', `${path} may not be ${tried} (${errno})`, { details, cause: error });
  }
  return new HaiveError('IO_ERROR', `${path}: ${errno}`, { details, cause: error });
}

/** The same port, whose faults are HaiveErrors; ENOENT, EEXIST and ENOTEMPTY stay as they are. */
export function withFileErrors(port: FilePort): FilePort {
  const guard =
    <A extends [string | readonly string[], ...unknown[]]>(run: (...args: A) => Promise<void>) =>
    async (...args: A): Promise<void> => {
      try {
        await run(...args);
      } catch (error) {
        throw ANSWERS.has(errnoOf(error) ?? '') ? error : fileError(error, String([args[0]].flat()[0]));
      }
    };
  return {
    mkdir: guard(port.mkdir),
    writeFile: guard(port.writeFile),
    rename: guard(port.rename),
    unlink: guard(port.unlink),
    rmdir: guard(port.rmdir),
    symlink: guard((target: string, path: string, type?: 'dir' | 'junction') => port.symlink(target, path, type)),
    chmod: guard(port.chmod),
    link: guard(port.link),
    fsync: guard(port.fsync),
    syncAll: guard(port.syncAll),
  };
}

/** A file's bytes; errors come as the operating system gives them. */
export async function readBytes(path: string): Promise<Buffer> {
  return (await readWhole(path, 'r')).bytes;
}

/** A file's bytes and what it is, by one look; null for a link, and for what is no file. Errors as of `readBytes`. */
export async function readFile(path: string): Promise<{ bytes: Buffer; stat: fs.Stats } | null> {
  const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = fs.constants;
  // Windows opens what a link leads to, whatever is asked.
  if (O_NOFOLLOW === 0 && fs.lstatSync(path).isSymbolicLink()) return null;
  try {
    // A named pipe would have us wait for its writer.
    const read = await readWhole(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    return read.stat.isFile() ? read : null;
  } catch (error) {
    if (errnoOf(error) === 'ELOOP' || errnoOf(error) === 'EMLINK') return null;
    throw error;
  }
}

async function readWhole(path: string, flags: string | number): Promise<{ bytes: Buffer; stat: fs.Stats }> {
  const file = fs.openSync(path, flags);
  try {
    const stat = fs.fstatSync(file);
    if (stat.size > AT_ONCE) return { bytes: await promisify(fs.readFile)(file), stat };
    return { bytes: stat.size === 0 ? fs.readFileSync(file) : readOpen(file, stat.size), stat };
  } finally {
    fs.closeSync(file);
  }
}

function readOpen(file: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (let got = -1; at < size && got !== 0; at += got) got = fs.readSync(file, bytes, at, size - at, null);
  return bytes.subarray(0, at);
}

/**
 * What lies at a path, links not followed; null where there is nothing, also below what is no folder. Asked before what often fails,
 * because an error costs ten times as much.
 * @throws HaiveError READ_ONLY, IO_ERROR
 */
export function lookAt(path: string): fs.Stats | null {
  try {
    return fs.lstatSync(path, { throwIfNoEntry: false }) ?? null;
  } catch (error) {
    if (errnoOf(error) === 'ENOTDIR') return null;
    throw fileError(error, path, 'read');
  }
}

/** What a path leads to; null where that cannot be found out. */
export function statOf(path: string): fs.Stats | null {
  try {
    return fs.statSync(path, { throwIfNoEntry: false }) ?? null;
  } catch {
    return null;
  }
}

/**
 * A file's bytes, or null where there is none.
 * @throws HaiveError READ_ONLY, IO_ERROR
 */
export async function readFileOrNull(path: string): Promise<Buffer | null> {
  try {
    return lookAt(path) === null ? null : await readBytes(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return null;
    throw fileError(error, path, 'read');
  }
}

/** The entries of a folder in code unit order; none where the folder is missing. */
export async function listDir(path: string): Promise<import('node:fs').Dirent[]> {
  try {
    if (lookAt(path) === null) return [];
    const entries = fs.readdirSync(path, { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw fileError(error, path, 'read');
  }
}

/** Removes a file or link if it is there. */
export async function removeFile(port: FilePort, path: string): Promise<boolean> {
  try {
    if (lookAt(path) === null) return false;
    await port.unlink(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Removes a folder if it is there and empty. */
export async function removeEmptyDir(port: FilePort, path: string): Promise<boolean> {
  try {
    if (fs.lstatSync(path).isDirectory() && fs.readdirSync(path).length === 0) {
      await port.rmdir(path);
      return true;
    }
    return false;
  } catch (error) {
    if (['ENOENT', 'ENOTEMPTY', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}

/** Removes a folder with all in it, never following links; nothing happens where it is missing. */
export async function removeTree(port: FilePort, path: string): Promise<void> {
  for (const entry of await listDir(path)) {
    const child = `${path}/${entry.name}`;
    if (entry.isDirectory()) await removeTree(port, child);
    else await removeFile(port, child);
  }
  await removeEmptyDir(port, path);
}

export { writeAtomic } from './atomic-file.ts';
export { makeDirs } from './make-dirs.ts';
