import { dirname, join } from 'node:path';
import { releaseText } from '../../domain/confine.ts';
import { temporaryOf, writeAtomic } from '../files/atomic-file.ts';
import { hashOnDisk } from '../files/content-file.ts';
import { makeDirs, readFileOrNull, removeEmptyDir, removeFile } from '../files/file-port.ts';
import { scanTree } from '../files/tree.ts';
import { treeBytes } from '../loose/layout-text.ts';
import type { Machine } from '../machine.ts';
import type { LooseFile, Receipt } from '../receipts/index.ts';
import { sha256Of } from '../store/blob-store.ts';
import { editedPaths, type Live, OURS_SUFFIX } from './render.ts';

/** A person's edit that a change would lose: it is put aside, and the file that held it goes where it must not stay. */
export interface Keep extends Pick<LooseFile, 'renamed' | 'cuts'> {
  /** Relative to `~/.claude` (a copy of the loose layout) or to our root (a tree). */
  below: 'claude' | 'root';
  from: string;
  /** What lies there; anything else was written meanwhile, and stays. */
  sha256: string;
  /** Relative to our root; null where nothing need be kept. */
  to: string | null;
  /** Take the file at `from` away afterwards. */
  drop: boolean;
  /** Of a copy: the tree, relative to our root, and what was changed for the copy. */
  dir?: string;
  /** Its command lines were rewritten for the launcher: what is put aside has them as they were. */
  confined?: true;
}

/**
 * Where edits of a tree are put aside: a folder named after it, which holds no other content at any of the paths. A tree's
 * folder comes again once the first is collected, and what was kept of that one must stay.
 * @param files what will be put there, by path
 * @returns relative to our root
 */
export async function backupFor(
  m: Machine,
  dir: string,
  files: readonly { path: string; sha256: string }[],
): Promise<string> {
  const base = `backups/edits/${dir.slice('versions/'.length)}`;
  for (let n = 1; ; n++) {
    const to = n === 1 ? base : `${base}-${n}`;
    const there = await Promise.all(files.map(({ path }) => hashOnDisk(join(m.paths.root, to, path))));
    if (there.every((sha256, i) => sha256 === null || sha256 === files[i]?.sha256)) return to;
  }
}

/** The same for a live plugin's edited and added files. */
export function backupOfLive(m: Machine, live: Live): Promise<string> {
  const files = editedPaths(live).flatMap((path) => live.disk.get(path) ?? []);
  return backupFor(m, live.receipt.dir, files);
}

/**
 * Every edited or added file of a live plugin, to be put aside.
 * @param to folder relative to our root
 * @param only these paths of the tree; all when absent
 */
export function planKeeps(live: Live, to: string, only?: (path: string) => boolean): Keep[] {
  const { receipt } = live;
  return editedPaths(live).flatMap((path): Keep[] => {
    const there = live.disk.get(path);
    if (there?.kind !== 'file' || path.endsWith(OURS_SUFFIX) || only?.(path) === false) return [];
    const copy = there.bytes === undefined ? undefined : receipt.loose?.files.find((f) => f.from === path);
    if (copy === undefined) {
      const sha256 = there.onDisk ?? there.sha256;
      const confined = there.onDisk === undefined ? {} : { confined: true as const };
      return [{ below: 'root', from: `${receipt.dir}/${path}`, sha256, to: `${to}/${path}`, drop: false, ...confined }];
    }
    return [{ ...dropOf(receipt, copy, ''), to: `${to}/${path}`, drop: false }];
  });
}

function dropOf(receipt: Receipt, copy: LooseFile, sha256: string): Keep {
  const { path, renamed, cuts } = copy;
  const how = { ...(renamed && { renamed }), ...(cuts && { cuts }) };
  return { below: 'claude', from: path, sha256, to: null, drop: true, dir: receipt.dir, ...how };
}

/** Edited copies of `before` that no receipt lists any more: their edit is kept elsewhere, so they go. */
export async function planDrops(m: Machine, before: Receipt, stay: ReadonlySet<string>): Promise<Keep[]> {
  const drops: Keep[] = [];
  for (const copy of before.off ? [] : (before.loose?.files ?? [])) {
    const disk = stay.has(copy.path) ? null : await hashOnDisk(join(m.paths.claudeDir, copy.path));
    if (disk !== null && disk !== copy.sha256) drops.push(dropOf(before, copy, disk));
  }
  return drops;
}

/** The overlay of a plugin, to be taken away with it. */
export async function planPurge(m: Machine, name: string): Promise<Keep[]> {
  const files = [...(await scanTree(join(m.paths.overlays, name))).values()].filter((file) => file.kind === 'file');
  return files.map(({ path, sha256 }) => {
    return { below: 'root', from: `overlays/${name}/${path}`, sha256, to: null, drop: true };
  });
}

/** Fills in what lies on the disk now, for keeps that do not say. */
export async function settleKeeps(m: Machine, keeps: readonly Keep[]): Promise<Keep[]> {
  const settled: Keep[] = [];
  for (const keep of keeps) {
    const sha256 = keep.sha256 === '' ? await hashOnDisk(absoluteOf(m, keep)) : keep.sha256;
    if (sha256 !== null) settled.push({ ...keep, sha256 });
  }
  return settled;
}

function absoluteOf(m: Machine, keep: Keep): string {
  return join(keep.below === 'claude' ? m.paths.claudeDir : m.paths.root, keep.from);
}

/** Puts aside and takes away; doing it again changes nothing. */
export async function runKeeps(m: Machine, keeps: readonly Keep[]): Promise<void> {
  for (const keep of keeps) {
    const bytes = await readFileOrNull(absoluteOf(m, keep));
    if (bytes === null || sha256Of(bytes) !== keep.sha256) continue;
    if (keep.to !== null) {
      const to = join(m.paths.root, keep.to);
      const root = keep.dir === undefined ? undefined : join(m.paths.root, keep.dir);
      const inTree = root === undefined ? bytes : treeBytes(bytes, root, keep);
      const kept = keep.confined === true ? Buffer.from(releaseText(inTree.toString('utf8'))) : inTree;
      if ((await hashOnDisk(to)) !== sha256Of(kept)) {
        await makeDirs(m.port, dirname(to));
        await writeAtomic(m.port, to, kept);
      }
    }
  }
  for (const keep of keeps) {
    const at = absoluteOf(m, keep);
    if (!keep.drop) continue;
    if ((await hashOnDisk(at)) === keep.sha256) await removeFile(m.port, at);
    if (keep.below === 'root') {
      for (let dir = dirname(at); dir.length > m.paths.root.length; dir = dirname(dir))
        await removeEmptyDir(m.port, dir);
    }
  }
}

/** Half-written files that a crash may have left. */
export function temporaryKeeps(m: Machine, keeps: readonly Keep[]): string[] {
  return keeps.flatMap((keep) => (keep.to === null ? [] : [temporaryOf(join(m.paths.root, keep.to))]));
}
