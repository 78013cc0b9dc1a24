import { realpathSync, statfsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { HaiveError } from '../domain/errors.ts';
import { shortDigest, type VersionRecord } from '../domain/version-record.ts';
import { readBlob } from './blob-store.ts';
import { errnoOf, lookAt, makeDirs, readFileOrNull } from './file-port.ts';
import type { Machine } from './machine.ts';
import type { RenderedFile, RenderedTree, Source } from './render.ts';
import { scanTree } from './tree.ts';

/** A tree as it is written: where, and what. */
export interface StagedTree {
  name: string;
  /** Relative to the root. */
  dir: string;
  rendered: RenderedTree;
}

/** Files that are written before the first is waited for: those that wait together share the disk's journal. */
const AT_ONCE = 32;
/** Beyond this many files a sync of each alone costs more than it gives: the folders are synced, the files by the system. */
const FSYNC_FILES = 400;

/** A folder name for a new tree that nothing lies at: `versions/NAME/1.2.0-0123456789ab`, then `-r2`, `-r3`… */
export async function freeTreeDir(m: Machine, record: VersionRecord, taken: ReadonlySet<string>): Promise<string> {
  const base = `versions/${record.name}/${record.version}-${shortDigest(record.digest)}`;
  for (let n = 1; ; n++) {
    const dir = n === 1 ? base : `${base}-r${n}`;
    if (!taken.has(dir) && lookAt(join(m.paths.root, dir)) === null) return dir;
  }
}

/**
 * Fails before anything is written when the file system has no room for `bytes`.
 * @throws HaiveError DISK_FULL
 */
export async function checkSpace(m: Machine, bytes: number): Promise<void> {
  const free = m.room?.() ?? freeBytes(m.paths.root);
  if (free >= bytes) return;
  throw new HaiveError('DISK_FULL', `${m.paths.root} has ${free} bytes left, ${bytes} are needed`, {
    details: { free, needed: bytes },
  });
}

/** Infinite where nobody knows. */
function freeBytes(path: string): number {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/**
 * Writes a rendered tree below the root and waits until it is on the disk.
 * @param dir relative to the root; must not exist
 * @param besides files and folders to wait for as well: one wait for all costs what one alone does
 * @throws HaiveError BLOB_MISSING, HASH_MISMATCH, DISK_FULL, READ_ONLY, IO_ERROR, PATH_OCCUPIED where a link leads elsewhere
 */
export async function stageTree(
  m: Machine,
  dir: string,
  tree: RenderedTree,
  besides: readonly string[] = [],
): Promise<void> {
  const root = join(m.paths.root, dir);
  const folders = new Set<string>([root]);
  for (const file of tree.files) {
    for (let at = dirname(join(root, file.path)); at.length > root.length; at = dirname(at)) folders.add(at);
  }
  const inOrder = [...folders].sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  await makeDirs(m.port, root);
  await stayHere(m, [root]);
  for (const folder of inOrder) await makeDirs(m.port, folder);
  const fsync = tree.files.length <= FSYNC_FILES;
  await inParallel(tree.files, (file) => writeRendered(m, join(root, file.path), file, fsync));
  await inParallel([...inOrder, dirname(root), ...besides], (path) => m.port.fsync(path));
  // Again: a folder may have become a link while we wrote, and what is committed next is loaded from here.
  await stayHere(m, folders);
}

/** @throws HaiveError PATH_OCCUPIED when a link below the root leads one of these folders elsewhere */
async function stayHere(m: Machine, folders: Iterable<string>): Promise<void> {
  const root = realpathSync.native(m.paths.root);
  for (const path of folders) {
    const here = realPathOf(path);
    // Some file systems give names back in another normal form.
    if (here.normalize('NFC') === join(root, relative(m.paths.root, path)).normalize('NFC')) continue;
    throw new HaiveError('PATH_OCCUPIED', `${path} leads elsewhere by a link`, { details: { path } });
  }
}

/**
 * Reads every file of a tree again, before anything leads to it: what does not hold what was to be written never goes live.
 * @throws HaiveError VERIFY_FAILED naming the plugin and the path
 */
export async function readBack(m: Machine, { name, dir, rendered }: StagedTree): Promise<void> {
  const disk = await scanTree(join(m.paths.root, dir));
  const ours = rendered.receiptFiles.filter((file) => !file.deleted);
  for (const { path, sha256 } of [
    ...ours.map((f) => ({ path: f.path, sha256: f.rendered ?? f.sha256 })),
    ...rendered.extras,
  ]) {
    if (disk.get(path)?.sha256 === sha256) continue;
    throw new HaiveError('VERIFY_FAILED', `${name}: ${path} does not read back as it was written`, {
      details: { name, path },
    });
  }
}

/** Empty where it leads nowhere. */
function realPathOf(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    return '';
  }
}

async function writeRendered(m: Machine, path: string, file: RenderedFile, fsync: boolean): Promise<void> {
  const { source } = file;
  if ('link' in source) return m.port.symlink(source.link, path);
  const mode = file.mode ?? (file.executable ? 0o755 : 0o644);
  try {
    await m.port.writeFile(path, await bytesOf(m, source), { mode, fsync, exclusive: true });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    throw new HaiveError('PATH_OCCUPIED', `Something lies at ${path}, in a folder that was new`, { cause: error });
  }
}

async function bytesOf(m: Machine, source: Exclude<Source, { link: string }>): Promise<Buffer> {
  if ('bytes' in source) return source.bytes;
  if ('blob' in source) return readBlob(m, source.blob);
  const bytes = await readFileOrNull(source.copy);
  if (bytes === null) throw new HaiveError('IO_ERROR', `${source.copy} vanished while it was being kept`);
  return bytes;
}

/** Runs over all items, some at once, and waits for every one that was started before it fails. */
async function inParallel<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  let failed: { error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    while (next < items.length && failed === undefined) {
      const item = items[next++];
      if (item === undefined) return;
      try {
        await run(item);
      } catch (error) {
        failed ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  if (failed !== undefined) throw failed.error;
}
