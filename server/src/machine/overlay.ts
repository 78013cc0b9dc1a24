import { dirname, join } from 'node:path';
import type { VersionRecord } from '../domain/version/record.ts';
import { backupFor } from './change/keeps.ts';
import {
  editedPaths,
  type Live,
  OURS_SUFFIX,
  type RenderedFile,
  type RenderedTree,
  type Take,
} from './change/render.ts';
import { hashOnDisk } from './files/content-file.ts';
import { makeDirs, readFileOrNull } from './files/file-port.ts';
import { scanTree } from './files/tree.ts';
import type { Machine } from './machine.ts';
import type { Receipt } from './receipts/index.ts';

/** This machine's own files of a plugin, in a folder that no update touches: they lie on top of every version. */

const folderOf = (m: Machine, name: string): string => join(m.paths.overlays, name);

/** Puts the overlay on top, but for files that a person has edited where they lie. */
export async function applyOverlay(
  m: Machine,
  { name }: VersionRecord,
  live: Live | null,
  tree: RenderedTree,
  take: Take,
): Promise<void> {
  const overlay = await scanTree(folderOf(m, name));
  if (overlay.size === 0) return;
  const edited = new Set(live === null ? [] : editedPaths(live).filter((path) => take[path] !== 'published'));
  for (const [path, over] of overlay) {
    if (over.kind !== 'file' || edited.has(path)) continue;
    const bytes = (await readFileOrNull(over.absolute)) ?? Buffer.alloc(0);
    const file: RenderedFile = { path, source: { bytes }, executable: (over.mode & 0o111) !== 0 };
    const at = tree.files.findIndex((f) => f.path === path);
    if (at >= 0) tree.files[at] = file;
    else tree.files.push(file);
    const known = tree.receiptFiles.find((f) => f.path === path);
    const before = live?.receipt.files.find((f) => f.path === path);
    if (before === undefined || before.sha256 !== known?.sha256) tree.edits.push({ name, path, outcome: 'overlaid' });
    if (known === undefined) tree.extras.push({ path, sha256: over.sha256 });
    else Object.assign(known, { rendered: over.sha256, overlay: true });
  }
}

/** What the overlay put into a plugin's tree: sha256 by path. */
function laidOver({ files, extras }: Receipt): Map<string, string | undefined> {
  return new Map([
    ...files.filter((file) => file.overlay).map((file) => [file.path, file.rendered] as const),
    ...extras.filter(({ path }) => !path.endsWith(OURS_SUFFIX)).map(({ path, sha256 }) => [path, sha256] as const),
  ]);
}

/** Paths of a plugin that this machine's overlay put there, in order. */
export const overlaidPaths = (receipt: Receipt): string[] => [...laidOver(receipt).keys()].sort();

/** Whether the tree was written with another overlay than lies there now. */
export async function isOverlayNew(m: Machine, receipt: Receipt): Promise<boolean> {
  const laid = laidOver(receipt);
  const files = [...(await scanTree(folderOf(m, receipt.name)))].filter(([, { kind }]) => kind === 'file');
  const there = new Set(files.map(([path]) => path));
  return files.some(([path, { sha256 }]) => laid.get(path) !== sha256) || [...laid.keys()].some((p) => !there.has(p));
}

/**
 * Takes a file out of a plugin's overlay and puts it below `backups/edits`; the tree holds it until it is written again. The lock must
 * be held.
 * @throws HaiveError READ_ONLY, DISK_FULL, IO_ERROR
 */
export async function dropOverlaid(
  m: Machine,
  { name, dir }: Pick<Receipt, 'name' | 'dir'>,
  path: string,
): Promise<void> {
  const from = join(folderOf(m, name), path);
  const sha256 = await hashOnDisk(from);
  if (sha256 === null) return;
  const target = join(m.paths.root, await backupFor(m, dir, [{ path, sha256 }]), path);
  await makeDirs(m.port, dirname(target));
  await m.port.rename(from, target);
}
