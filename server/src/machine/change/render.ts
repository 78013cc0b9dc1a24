import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type Decision, mergeText, reconcileFile } from '../../domain/merge/reconcile.ts';
import type { VersionRecord } from '../../domain/version/record.ts';
import { releaseFiles } from '../confine.ts';
import { readFileOrNull, statOf } from '../files/file-port.ts';
import { type DiskFile, hasLostBit, type SeenFile, scanTree } from '../files/tree.ts';
import { treeBytes } from '../loose/layout-text.ts';
import type { Machine } from '../machine.ts';
import { applyOverlay } from '../overlay.ts';
import type { Receipt, ReceiptFile } from '../receipts/index.ts';
import { readBlob, sha256Of } from '../store/blob-store.ts';

/**
 * What becomes of one edit of the user's; `overlaid`: the machine's overlay lies on what is published; `returned`: it was
 * deleted, and is back because the new version changed it.
 */
export interface Edit {
  name: string;
  path: string;
  outcome: 'kept' | 'merged' | 'conflict' | 'overlaid' | 'returned';
}

export type Source = { blob: string } | { bytes: Buffer } | { copy: string } | { link: string };

export interface RenderedFile {
  path: string;
  source: Source;
  executable: boolean;
  /** Permission bits of a file of the user's; ours have 0755 or 0644. */
  mode?: number;
}

/** A whole tree as it shall lie on disk, decided before anything is written. */
export interface RenderedTree {
  files: RenderedFile[];
  /** The version's own files, for the receipt. */
  receiptFiles: ReceiptFile[];
  /** Files of ours beyond the version: additions of the overlay, `.hv-new` beside a conflict. */
  extras: { path: string; sha256: string }[];
  conflicts: { path: string; base: string | null }[];
  edits: Edit[];
}

export const MANIFEST = '.claude-plugin/plugin.json';
/** Beside the user's file where both sides changed the same lines. */
export const OURS_SUFFIX = '.hv-new';
/** The user's own file where the new version needs its path for something else. */
const THEIRS_SUFFIX = '.hv-user';

/** What a person decided of single paths, before any rule: the edit stays, or what was published comes back. */
export type Take = Record<string, 'mine' | 'published'>;

export interface Live {
  receipt: Receipt;
  disk: Map<string, DiskFile>;
}

/** The live tree of a plugin as it is on disk, or null where there is none (any more). */
export async function readLive(m: Machine, receipt: Receipt | undefined): Promise<Live | null> {
  if (receipt === undefined) return null;
  const disk = await scanTree(join(m.paths.root, receipt.dir));
  // An absent folder is damage, not a user who deleted every file.
  if (disk.size === 0) return null;
  await layCopiesOver(m, receipt, disk);
  await releaseFiles(m, receipt, disk);
  return { receipt, disk };
}

/** In the loose layout people edit the copies: those edits count as edits of the tree. */
export async function layCopiesOver(m: Machine, receipt: Receipt, disk: Map<string, DiskFile>): Promise<void> {
  if (receipt.off) return;
  const root = join(m.paths.root, receipt.dir);
  for (const copy of receipt.loose?.files ?? []) {
    const { path, from, sha256, executable } = copy;
    const absolute = join(m.paths.claudeDir, path);
    const there = await readFileOrNull(absolute);
    if (there === null) disk.delete(from);
    else if (sha256Of(there) !== sha256) {
      const bytes = treeBytes(there, root, copy);
      const mode = disk.get(from)?.mode ?? 0o644;
      disk.set(from, { path: from, absolute, kind: 'file', size: bytes.length, mode, sha256: sha256Of(bytes), bytes });
    } else if (executable) {
      const inTree = disk.get(from);
      const mode = statOf(absolute)?.mode ?? 0;
      if (inTree !== undefined) disk.set(from, { ...inTree, mode: inTree.mode & mode });
    }
  }
}

/** What the user and we started from, for one path of the live tree. */
function baseOf(live: Live, path: string): { file: ReceiptFile | undefined; base: string | null } {
  const file = live.receipt.files.find((f) => f.path === path);
  const conflict = live.receipt.conflicts.find((c) => c.path === path);
  const unresolved = conflict !== undefined && live.disk.has(`${path}${OURS_SUFFIX}`);
  return { file, base: unresolved ? conflict.base : (file?.sha256 ?? null) };
}

/** The disk's side of one path: what the overlay put there counts as untouched. */
function diskSide(live: Live, path: string, file: ReceiptFile | undefined, base: string | null): string | null {
  const there = live.disk.get(path);
  if (there === undefined) return null;
  return file?.overlay && there.sha256 === (file.confined ?? file.rendered) ? base : there.sha256;
}

/** Whether the live tree differs from what was published by more than the overlay. */
export function hasEdits(live: Live): boolean {
  return editedPaths(live).length > 0;
}

/** Paths that a person changed, added or deleted, in order. */
export function editedPaths(live: Live): string[] {
  const paths = new Set([...live.receipt.files.map((f) => f.path), ...live.disk.keys()]);
  return [...paths].sort().filter((path) => {
    const { file, base } = baseOf(live, path);
    return file === undefined ? !isOurExtra(live, path) : diskSide(live, path, file, base) !== file.sha256;
  });
}

/** Paths that were published as executable and, otherwise as they were, are not any more. That is no edit. */
export function lostBits({ receipt, disk }: { receipt: Receipt; disk: ReadonlyMap<string, SeenFile> }): string[] {
  return receipt.files.filter((file) => hasLostBit(file, disk.get(file.path))).map((file) => file.path);
}

function isOurExtra(live: Live, path: string): boolean {
  const extra = live.receipt.extras.find((e) => e.path === path);
  return extra !== undefined && live.disk.get(path)?.sha256 === extra.sha256;
}

/**
 * Decides every file of the new tree: what is published, the user's edits in the live tree, the overlay on top.
 * Reads only.
 * @throws HaiveError BLOB_MISSING, HASH_MISMATCH (of a base needed for a merge), IO_ERROR
 */
export async function renderTree(
  m: Machine,
  record: VersionRecord,
  live: Live | null,
  take: Take = {},
): Promise<RenderedTree> {
  const tree: RenderedTree = { files: [], receiptFiles: [], extras: [], conflicts: [], edits: [] };
  const inVersion = new Set(record.files.map((f) => f.path));
  for (const next of record.files) {
    const published: RenderedFile = { path: next.path, source: { blob: next.sha256 }, executable: next.executable };
    const receiptFile: ReceiptFile = { ...next };
    tree.receiptFiles.push(receiptFile);
    if (live === null) tree.files.push(published);
    else if (take[next.path] === 'published') tree.files.push(published);
    else await renderFile(m, record, live, tree, published, receiptFile, take);
  }
  if (live !== null) await carryAdditions(record, live, tree, inVersion, take);
  await applyOverlay(m, record, live, tree, take);
  return tree;
}

async function renderFile(
  m: Machine,
  record: VersionRecord,
  live: Live,
  tree: RenderedTree,
  published: RenderedFile,
  receiptFile: ReceiptFile,
  take: Take,
): Promise<void> {
  const { path } = published;
  const { file, base } = baseOf(live, path);
  const side = diskSide(live, path, file, base);
  const ours = isOurExtra(live, path);
  const disk = ours ? null : side;
  let decision: Decision = reconcileFile({ base, disk, next: receiptFile.sha256 });
  const there = live.disk.get(path);
  // Without its manifest nothing of a plugin loads: that is damage, not an edit.
  const lost = there === undefined && path === MANIFEST;
  if (decision === 'take-next' || lost || there?.kind === 'other') {
    tree.files.push(published);
    if (there === undefined && base !== null && !lost)
      tree.edits.push({ name: record.name, path, outcome: 'returned' });
    return;
  }
  if (there === undefined) {
    receiptFile.deleted = true;
    tree.edits.push({ name: record.name, path, outcome: 'kept' });
    return;
  }
  if (take[path] === 'mine') decision = 'keep-disk';
  if (decision === 'merge') {
    const merged = there.kind === 'file' ? await merge(m, path, base, there, receiptFile.sha256) : null;
    if (merged !== null) {
      receiptFile.rendered = sha256Of(merged);
      tree.files.push({ ...published, source: { bytes: merged }, mode: there.mode });
      tree.edits.push({ name: record.name, path, outcome: 'merged' });
      return;
    }
    decision = 'conflict';
  }
  receiptFile.rendered = there.sha256;
  tree.files.push(await carried(there, path));
  if (decision === 'conflict') {
    const beside = `${path}${OURS_SUFFIX}`;
    tree.files.push({ ...published, path: beside });
    tree.extras.push({ path: beside, sha256: receiptFile.sha256 });
    tree.conflicts.push({ path, base });
  }
  tree.edits.push({ name: record.name, path, outcome: decision === 'conflict' ? 'conflict' : 'kept' });
}

async function merge(
  m: Machine,
  path: string,
  base: string | null,
  there: DiskFile,
  next: string,
): Promise<Buffer | null> {
  if (base === null) return null;
  const before = await readBlob(m, base).catch(() => null);
  const disk = there.bytes ?? (await readFileOrNull(there.absolute));
  return before === null || disk === null ? null : mergeText(path, before, disk, await readBlob(m, next));
}

async function carried(there: DiskFile, path: string): Promise<RenderedFile> {
  let source: Source = there.bytes === undefined ? { copy: there.absolute } : { bytes: there.bytes };
  if (there.kind === 'link') source = { link: await readlink(there.absolute) };
  return { path, source, executable: (there.mode & 0o111) !== 0, mode: there.mode };
}

/** Files that the user put into the tree, and edited files that the new version no longer has. */
async function carryAdditions(
  record: VersionRecord,
  live: Live,
  tree: RenderedTree,
  inVersion: ReadonlySet<string>,
  take: Take,
): Promise<void> {
  const taken = new Set<string>();
  const folders = new Set<string>();
  for (const { path } of tree.files) {
    taken.add(path);
    for (let cut = path.lastIndexOf('/'); cut > 0; cut = path.lastIndexOf('/', cut - 1))
      folders.add(path.slice(0, cut));
  }
  for (const [path, there] of live.disk) {
    if (inVersion.has(path) || there.kind === 'other' || isOurExtra(live, path)) continue;
    if (take[path] === 'published' || take[path.slice(0, -OURS_SUFFIX.length)] !== undefined) continue;
    const { file, base } = baseOf(live, path);
    if (
      file !== undefined &&
      reconcileFile({ base, disk: diskSide(live, path, file, base), next: null }) !== 'keep-disk'
    )
      continue;
    const free = freePath(path, taken, folders);
    tree.files.push(await carried(there, free));
    tree.edits.push({ name: record.name, path: free, outcome: free === path ? 'kept' : 'conflict' });
  }
}

/** Where the user's file goes when the new version has a folder of its name, or a file on the way to it. */
function freePath(path: string, taken: ReadonlySet<string>, folders: ReadonlySet<string>): string {
  if (folders.has(path) || taken.has(path)) return freePath(`${path}${THEIRS_SUFFIX}`, taken, folders);
  const parts = path.split('/');
  for (let i = 1; i < parts.length; i++) {
    const above = parts.slice(0, i).join('/');
    if (taken.has(above)) {
      return freePath([`${above}${THEIRS_SUFFIX}`, ...parts.slice(i)].join('/'), taken, folders);
    }
  }
  return path;
}
