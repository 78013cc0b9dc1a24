import { statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf, HaiveError } from '../../domain/errors.ts';
import { shortDigest, type VersionRecord } from '../../domain/version/record.ts';
import { spoilt } from '../files/content-file.ts';
import { lookAt, makeDirs, readFileOrNull, statOf } from '../files/file-port.ts';
import { hashInTree, hasLostBit } from '../files/tree.ts';
import type { Machine } from '../machine.ts';
import { readBlob } from '../store/blob-store.ts';
import type { RenderedFile, RenderedTree, Source } from './render.ts';

/** A tree as it is written: where, and what. */
export interface StagedTree {
  name: string;
  /** Relative to the root. */
  dir: string;
  rendered: RenderedTree;
}

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
  const free = roomOf(m);
  if (free >= bytes) return;
  throw new HaiveError('DISK_FULL', `${m.paths.root} has ${free} bytes left, ${bytes} are needed`, {
    details: { free, needed: bytes },
  });
}

/** Bytes that are free where trees are written. */
export const roomOf = (m: Machine): number => m.room?.() ?? freeBytes(m.paths.root);

/** Infinite where nobody knows. */
function freeBytes(path: string): number {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** What was written, as absolute paths. */
export interface Written {
  folders: string[];
  files: string[];
}

/**
 * Writes rendered trees below the root.
 * @param onTree told of each tree before it is written
 * @returns what has to be waited for, and checked by `checkTrees` after that
 * @throws HaiveError BLOB_MISSING, HASH_MISMATCH, DISK_FULL, READ_ONLY, IO_ERROR, PATH_OCCUPIED where a link leads elsewhere
 */
export async function stageTrees(
  m: Machine,
  trees: readonly StagedTree[],
  onTree: (tree: StagedTree, at: number) => void,
): Promise<Written> {
  const folders = new Set<string>();
  const files: string[] = [];
  for (const [at, tree] of trees.entries()) {
    onTree(tree, at);
    const written = await writeTree(m, tree);
    for (const folder of written.folders) folders.add(folder);
    files.push(...written.files);
  }
  for (const { dir } of trees) folders.add(dirname(join(m.paths.root, dir)));
  return { folders: [...folders], files };
}

/**
 * Reads staged trees back, before anything leads to them.
 * @throws HaiveError VERIFY_FAILED naming the plugin and the path, PATH_OCCUPIED where a link leads elsewhere by now
 */
export async function checkTrees(m: Machine, trees: readonly StagedTree[], { folders }: Written): Promise<void> {
  // Again: a folder may have become a link while we wrote, and what is committed next is loaded from here.
  await stayHere(m, folders);
  for (const tree of trees) await readBack(m, tree);
}

async function writeTree(m: Machine, { dir, rendered }: StagedTree): Promise<Written> {
  const root = join(m.paths.root, dir);
  const needed = new Set<string>([root]);
  for (const file of rendered.files) {
    for (let at = dirname(join(root, file.path)); at.length > root.length; at = dirname(at)) needed.add(at);
  }
  const folders = [...needed].sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  await makeDirs(m.port, root);
  await stayHere(m, [root]);
  for (const folder of folders) if (folder !== root) await asNew(folder, () => m.port.mkdir(folder));
  const files: string[] = [];
  for (const file of rendered.files) {
    const path = join(root, file.path);
    await writeRendered(m, path, file);
    // A link is on the disk with its folder.
    if (!('link' in file.source)) files.push(path);
  }
  return { folders, files };
}

/** @throws HaiveError PATH_OCCUPIED when a link below the root leads one of these folders elsewhere */
async function stayHere(m: Machine, folders: Iterable<string>): Promise<void> {
  const seen = new Set<string>();
  for (const folder of folders) {
    for (let path = folder; path.length > m.paths.root.length && !seen.has(path); path = dirname(path)) {
      seen.add(path);
      if (lookAt(path)?.isDirectory()) continue;
      throw new HaiveError('PATH_OCCUPIED', `${path} leads elsewhere by a link`, { details: { path } });
    }
  }
}

/**
 * Reads every file again. Where the file system keeps no executable bit (exFAT, a share that is mounted without), the receipt promises
 * none: what never was there is not lost.
 * @throws HaiveError VERIFY_FAILED naming the plugin and the path
 */
async function readBack(m: Machine, { name, dir, rendered }: StagedTree): Promise<void> {
  const root = join(m.paths.root, dir);
  const ours = rendered.receiptFiles.filter((file) => !file.deleted);
  for (const { path, sha256 } of [
    ...ours.map((f) => ({ path: f.path, sha256: f.rendered ?? f.sha256 })),
    ...rendered.extras,
  ]) {
    if ((await hashInTree(`${root}/${path}`)) === sha256) continue;
    throw spoilt(name, path);
  }
  for (const file of ours.filter((f) => f.executable)) {
    const { mode = 0o755 } = statOf(join(root, file.path)) ?? {};
    const there = { kind: 'file' as const, sha256: file.rendered ?? file.sha256, mode };
    if (hasLostBit(file, there)) file.executable = false;
  }
}

async function writeRendered(m: Machine, path: string, file: RenderedFile): Promise<void> {
  const { source } = file;
  if ('link' in source) return m.port.symlink(source.link, path);
  const mode = file.mode ?? (file.executable ? 0o755 : 0o644);
  const bytes = await bytesOf(m, source);
  await asNew(path, () => m.port.writeFile(path, bytes, { mode, exclusive: true }));
}

/** @throws HaiveError PATH_OCCUPIED where something lies at the path already, and what `make` throws */
async function asNew(path: string, make: () => Promise<void>): Promise<void> {
  try {
    await make();
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
