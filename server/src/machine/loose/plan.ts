import { join } from 'node:path';
import { layCopiesOver } from '../change/render.ts';
import { hashOnDisk } from '../files/content-file.ts';
import { readFileOrNull } from '../files/file-port.ts';
import { type DiskFile, scanTree } from '../files/tree.ts';
import type { Machine } from '../machine.ts';
import type { LooseReceipt, Receipt, Receipts } from '../receipts/index.ts';
import { looseFiles, planLoose } from './index.ts';

/** What a tree holds, wherever its bytes are now. */
export interface TreeContents {
  files: { path: string; executable: boolean }[];
  read(path: string): Promise<Buffer | null>;
}

/** A tree that lies on the disk already. */
export async function contentsOnDisk(m: Machine, dir: string): Promise<TreeContents> {
  return contentsOf(await scanTree(join(m.paths.root, dir)));
}

/** The same of one that was just looked through. */
export function contentsOf(disk: ReadonlyMap<string, DiskFile>): TreeContents {
  const files = [...disk.values()].filter((file) => file.kind === 'file');
  return {
    files: files.map(({ path, mode }) => ({ path, executable: (mode & 0o111) !== 0 })),
    read: async (path) => {
      const there = disk.get(path);
      return there?.kind === 'file' ? readFileOrNull(there.absolute) : null;
    },
  };
}

/**
 * Fills in what a plugin has outside its tree in the loose layout.
 * @param editsTaken whether edits of the copies are in the tree now, or shall be replaced
 * @throws HaiveError LAYOUT_UNSUPPORTED, NAME_CLASH, SETTINGS_INVALID
 */
export async function giveLoose(
  m: Machine,
  prev: Receipts,
  next: Receipts,
  receipt: Receipt,
  tree: TreeContents,
  editsTaken: boolean,
  warnings: string[],
): Promise<void> {
  const others = Object.values(next.plugins).filter(
    (other) => other.name !== receipt.name && other.loose !== undefined,
  );
  const before = prev.layout === 'loose' ? prev.plugins[receipt.name] : undefined;
  receipt.globalCommands = [];
  receipt.loose = await planLoose(
    m,
    { ...tree, plugin: receipt.name, root: join(m.paths.root, receipt.dir) },
    {
      before: before?.off ? undefined : before?.loose,
      others: others.flatMap((other) => other.loose ?? []),
      leaving: await leavingFiles(m, prev, next),
      fresh: Object.keys(prev.plugins).length === 0,
      editsTaken,
      warnings,
    },
  );
}

/**
 * What an installed plugin would have outside its tree if it were decided now. Reads only.
 * @throws HaiveError LAYOUT_UNSUPPORTED, NAME_CLASH, SETTINGS_INVALID
 */
export async function looseAsOfNow(m: Machine, prev: Receipts, name: string): Promise<LooseReceipt | undefined> {
  const next = structuredClone(prev);
  const receipt = next.plugins[name];
  if (receipt === undefined) return undefined;
  // Its own copies count as leaving, not as somebody's.
  delete receipt.loose;
  await giveLoose(m, prev, next, receipt, await contentsOnDisk(m, receipt.dir), false, []);
  return receipt.loose;
}

/** Files of ours below `~/.claude` that this change takes away, as we wrote them. */
async function leavingFiles(m: Machine, prev: Receipts, next: Receipts): Promise<Set<string>> {
  const commands = Object.values(prev.plugins).flatMap((p) => p.globalCommands);
  const ours = [...looseFiles(prev), ...commands.map(({ path, sha256 }) => ({ path: `commands/${path}`, sha256 }))];
  const kept = new Set(
    Object.values(next.plugins).flatMap((p) => (prev.plugins[p.name] === undefined ? [] : (p.loose?.files ?? []))),
  );
  const stay = new Set([...kept].map((file) => file.path));
  const leaving = new Set<string>();
  for (const { path, sha256 } of ours) {
    if (!stay.has(path) && (await hashOnDisk(join(m.paths.claudeDir, path))) === sha256) leaving.add(path);
  }
  return leaving;
}

/** Whether the copies of the loose layout hold edits that the tree lacks. */
export async function hasCopyEdits(m: Machine, receipt: Receipt): Promise<boolean> {
  const disk = await scanTree(join(m.paths.root, receipt.dir));
  const laid = new Map(disk);
  await layCopiesOver(m, receipt, laid);
  return laid.size !== disk.size || [...laid].some(([path, file]) => disk.get(path)?.sha256 !== file.sha256);
}

/** Folders below `~/.claude` that hold copies. */
export function looseDirs(next: Receipts): string[] {
  const dirs = new Set<string>();
  for (const { path } of looseFiles(next)) {
    for (let cut = path.lastIndexOf('/'); cut > 0; cut = path.lastIndexOf('/', cut - 1)) dirs.add(path.slice(0, cut));
  }
  return [...dirs].sort();
}
