import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, relative, sep } from 'node:path';
import { errnoOf, HaiveError } from '../domain/errors.ts';
import { readZip } from '../domain/version/archive.ts';
import { isLeftOut } from '../domain/version/left-out.ts';
import type { SourceFile } from '../domain/version/package.ts';

const MAX_FILES = 20_000;
const MAX_FOLDERS = 20_000;
const MAX_DEPTH = 64;
/** What a zip may need beside its files' bytes. */
const ZIP_OVERHEAD = 16 * 1024 * 1024;

interface Found {
  path: string;
  absolute: string;
  size: number;
}

export interface ReadOptions {
  /** Limit for the sum of all files, in bytes. */
  maxBytes: number;
  /** Links are followed inside this folder; the plugin's own when left out. */
  linksWithin?: string | undefined;
  /** Told of each link that is left out, because it leads nowhere or out of that folder. */
  onLinkLeftOut?: ((path: string) => void) | undefined;
}

/**
 * Reads a plugin from a folder or a zip file. A symbolic link becomes what it leads to, as when Claude Code installs; one that leads
 * out, into version control or nowhere is left out. Nothing in the folder is taken as configuration; what `isLeftOut` names is
 * skipped. Sizes are added up before anything is read.
 * @throws HaiveError NOT_FOUND, FILE_KIND_UNSUPPORTED, PLUGIN_TOO_LARGE, PATH_UNSAFE, ARCHIVE_INVALID, IO_ERROR
 */
export async function readPlugin(path: string, options: ReadOptions): Promise<SourceFile[]> {
  try {
    const info = await stat(path);
    if (info.isDirectory()) return await readFolder(path, options);
    if (info.isFile()) return await readArchive(path, info.size, options);
  } catch (error) {
    if (error instanceof HaiveError) throw error;
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') {
      throw new HaiveError('NOT_FOUND', `There is nothing at ${path}`, {
        hint: 'Name a plugin folder or a zip file.',
        cause: error,
      });
    }
    throw unreadable(error, path);
  }
  throw unsupported(path);
}

async function readArchive(path: string, size: number, { maxBytes }: ReadOptions): Promise<SourceFile[]> {
  const limit = maxBytes + ZIP_OVERHEAD;
  if (size > limit) throw tooLarge(size, maxBytes);
  const handle = await open(path, constants.O_RDONLY);
  try {
    const bytes = await readUpTo(handle, limit);
    if (bytes.length > limit) throw tooLarge(bytes.length, maxBytes);
    return await readZip(bytes, { maxBytes, maxFiles: MAX_FILES });
  } finally {
    await handle.close();
  }
}

async function readFolder(root: string, options: ReadOptions): Promise<SourceFile[]> {
  const { maxBytes } = options;
  const real = await realpath(root);
  const walk: Walk = {
    ...{ maxBytes, found: [], bytes: 0, folders: 0 },
    boundary: options.linksWithin === undefined ? real : await realpath(options.linksWithin),
    leftOut: options.onLinkLeftOut ?? (() => {}),
  };
  await list(walk, real, [], [real]);
  const { found } = walk;
  found.sort((a, b) => (a.path < b.path ? -1 : 1));
  const files: SourceFile[] = [];
  let total = 0;
  for (const file of found) {
    const read = await readRegular(file, maxBytes - total);
    total += read.bytes.length;
    if (total > maxBytes) throw tooLarge(total, maxBytes);
    files.push(read);
  }
  return files;
}

interface Walk {
  maxBytes: number;
  /** Real path that links may not lead out of. */
  boundary: string;
  leftOut: (path: string) => void;
  found: Found[];
  bytes: number;
  folders: number;
}

/** @param above the real folders on the way here, so that a link to one of them ends */
async function list(walk: Walk, folder: string, segments: readonly string[], above: readonly string[]): Promise<void> {
  walk.folders += 1;
  if (segments.length > MAX_DEPTH || walk.folders > MAX_FOLDERS) {
    throw new HaiveError('PATH_UNSAFE', `The folder ${segments.slice(0, 4).join('/')}/… is nested too deeply`);
  }
  for (const name of (await readdir(folder)).sort()) {
    const inside = [...segments, name];
    if (isLeftOut(inside)) continue;
    const path = inside.join('/');
    if (name.includes('\uFFFD')) throw new HaiveError('PATH_UNSAFE', `The name of ${path} is not UTF-8`);
    let absolute = join(folder, name);
    let info = await lstat(absolute);
    if (info.isSymbolicLink()) {
      const target = await linkTarget(absolute, walk.boundary);
      if (target === undefined || above.includes(target)) {
        walk.leftOut(path);
        continue;
      }
      absolute = target;
      info = await lstat(absolute);
    }
    if (info.isDirectory()) {
      await list(walk, absolute, inside, [...above, absolute]);
    } else if (info.isFile()) {
      walk.bytes += info.size;
      if (walk.bytes > walk.maxBytes) throw tooLarge(walk.bytes, walk.maxBytes);
      walk.found.push({ path, absolute, size: info.size });
      if (walk.found.length > MAX_FILES) {
        throw new HaiveError('PLUGIN_TOO_LARGE', `The folder holds more than ${MAX_FILES} files`);
      }
    } else {
      throw unsupported(path);
    }
  }
}

/** Where a link ends; undefined where that is nothing, outside of `boundary`, or what no plugin ships (`.git`). */
async function linkTarget(link: string, boundary: string): Promise<string | undefined> {
  let target: string;
  try {
    target = await realpath(link);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
  const way = relative(boundary, target);
  const leaves = way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way);
  return leaves || isLeftOut(way.split(sep)) ? undefined : target;
}

/** Reads what was listed as a regular file; one that has become something else since is refused. */
async function readRegular(file: Found, room: number): Promise<SourceFile> {
  // O_NONBLOCK: a pipe put there since the listing must not hang us
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  let handle: FileHandle;
  try {
    handle = await open(file.absolute, flags);
  } catch (error) {
    if (errnoOf(error) === 'ELOOP') throw unsupported(file.path);
    throw unreadable(error, file.path);
  }
  try {
    const info = await handle.stat();
    if (!info.isFile()) throw unsupported(file.path);
    const bytes = await readUpTo(handle, room);
    // Windows keeps no executable bit: a script says by its first line that it is one
    const executable =
      process.platform === 'win32' ? bytes.subarray(0, 2).toString() === '#!' : (info.mode & 0o100) !== 0;
    return { path: file.path, bytes, executable };
  } finally {
    await handle.close();
  }
}

/** All bytes of the file, or one more than `limit` where it is longer: a growing file is not read without end. */
async function readUpTo(handle: FileHandle, limit: number): Promise<Buffer> {
  const { size } = await handle.stat();
  const chunks: Buffer[] = [];
  let held = 0;
  while (held <= limit) {
    const want = Math.min(Math.max(size - held, 0) + 1, limit + 1 - held);
    const chunk = Buffer.allocUnsafe(want);
    const { bytesRead } = await handle.read(chunk, 0, want);
    if (bytesRead === 0) break;
    chunks.push(chunk.subarray(0, bytesRead));
    held += bytesRead;
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
}

/** A system error of reading as IO_ERROR; anything else as it is. */
export function unreadable(error: unknown, path: string): unknown {
  const errno = errnoOf(error);
  if (error instanceof HaiveError || errno === undefined) return error;
  return new HaiveError('IO_ERROR', `${path} cannot be read (${errno})`, { details: { path, errno }, cause: error });
}

function unsupported(path: string): HaiveError {
  return new HaiveError('FILE_KIND_UNSUPPORTED', `${path} is not a regular file (a device, socket or pipe)`, {
    details: { path },
  });
}

function tooLarge(size: number, limit: number): HaiveError {
  return new HaiveError('PLUGIN_TOO_LARGE', `The plugin is ${size} bytes or more, the limit is ${limit}`, {
    details: { size, limit },
  });
}
