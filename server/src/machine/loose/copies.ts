import { join } from 'node:path';
import { type OutsideCopy, writeCopy } from '../change/outside-copies.ts';
import { hashOnDisk } from '../files/content-file.ts';
import { readFileOrNull, removeFile, statOf } from '../files/file-port.ts';
import { hasLostBit } from '../files/tree.ts';
import type { Machine } from '../machine.ts';
import type { LooseFile } from '../receipts/index.ts';
import type { LooseContext, LooseInstaller, Owned } from './installer.ts';
import { looseBytes, looseHash, renameIn } from './layout-text.ts';
import { isOccupied, settleClash, suffixed } from './names.ts';
import { cutsOf, hasIgnored } from './plugin-keys.ts';

export type CopyInstaller = LooseInstaller<LooseFile, Machine, Promise<void>>;

/** One thing that has a name: a file, or a folder with all that is in it. */
export interface Unit {
  /** Relative to `~/.claude`: `commands/x.md`, `skills/x`. */
  at: string;
  /** Path in the tree → path below `at`; empty where the unit is one file. */
  files: Map<string, string>;
  /** The file whose front matter holds the name; undefined where the file's own name is the name. */
  named?: string;
}

/** The installer of one kind of files; the kinds differ in which files they are. */
export function copyInstaller(
  kind: LooseFile['kind'],
  unitsOf: (context: LooseContext) => Promise<Unit[]>,
): CopyInstaller {
  return {
    async plan(context) {
      const all: LooseFile[] = [];
      for (const unit of await unitsOf(context)) all.push(...(await planUnit(context, kind, unit, all)));
      return all;
    },
    apply: (m, before, after) => applyCopies(m, mine(before, kind), mine(after, kind)),
    undo: (m, entries) => applyCopies(m, mine(entries, kind), []),
  };
}

const mine = (all: Owned<LooseFile>[], kind: LooseFile['kind']): Owned<LooseFile>[] =>
  all.map((owned) => ({ ...owned, entries: owned.entries.filter((entry) => entry.kind === kind) }));

async function planUnit(
  context: LooseContext,
  kind: LooseFile['kind'],
  unit: Unit,
  own: readonly LooseFile[],
): Promise<LooseFile[]> {
  const { machine, source, before, others } = context;
  const was = before?.files.find((f) => f.kind === kind && unit.files.has(f.from));
  const taken = [...others.flatMap((o) => o.files), ...own].map((f) => f.path.toLowerCase());
  const inUse = (at: string): boolean => {
    const low = at.toLowerCase();
    return taken.some((path) => path === low || path.startsWith(`${low}/`));
  };
  const isFree = async (at: string): Promise<boolean> =>
    !inUse(at) && !(await isOccupied(machine, at, context.leaving));
  let at = unit.at;
  if (was !== undefined) {
    const below = unit.files.get(was.from) ?? '';
    at = below === '' ? was.path : was.path.slice(0, -below.length - 1);
  } else if (context.lost) {
    const other = suffixed(at, source.plugin);
    if (inUse(at) || statOf(join(machine.paths.claudeDir, other)) !== null) at = other;
  } else if (!(await isFree(at)) && !(await isAsWritten(context, kind, unit)))
    at = await settleClash(context, kind, at, suffixed(at, source.plugin), isFree, inUse(at));
  const name = at === unit.at || unit.named === undefined ? undefined : baseName(at);
  const files: LooseFile[] = [];
  for (const [from, below] of unit.files) {
    const path = below === '' ? at : `${at}/${below}`;
    const file = await planFile(context, kind, { from, path, name: from === unit.named ? name : undefined });
    if (file !== null) files.push(file);
  }
  return files;
}

/** Whether all of it lies there exactly as we write it: the receipts were lost with our folder, and it is taken up again. */
async function isAsWritten(
  { machine, source, fresh }: LooseContext,
  kind: LooseFile['kind'],
  unit: Unit,
): Promise<boolean> {
  if (!fresh) return false;
  for (const [from, below] of unit.files) {
    const bytes = await source.read(from);
    const path = below === '' ? unit.at : `${unit.at}/${below}`;
    const disk = await hashOnDisk(join(machine.paths.claudeDir, path));
    if (bytes === null || disk !== looseHash(bytes, source.root, { cuts: cutsOf(kind, bytes) ?? [] })) return false;
  }
  return true;
}

export const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1).replace(/\.md$/i, '');

async function planFile(
  context: LooseContext,
  kind: LooseFile['kind'],
  { from, path, name }: { from: string; path: string; name: string | undefined },
): Promise<LooseFile | null> {
  const { machine, source, before } = context;
  const bytes = await source.read(from);
  if (bytes === null) return null;
  const renamed = name === undefined ? undefined : renameIn(bytes, name);
  const was = before?.files.find((f) => f.path === path);
  const own = was?.cuts && (await readFileOrNull(join(machine.paths.claudeDir, path)));
  const theirs = new Set((own ? cutsOf(kind, own) : null)?.map(({ text }) => text));
  // What a person wrote into a copy of ours is the person's to say.
  const cuts = cutsOf(kind, bytes)?.filter(({ text }) => !theirs.has(text));
  const executable = source.files.find((f) => f.path === from)?.executable === true;
  const differences = { ...(renamed === undefined ? {} : { renamed }), ...(cuts && hasIgnored(kind) && { cuts }) };
  const sha256 = looseHash(bytes, source.root, differences);
  const file: LooseFile = { kind, from, path, sha256, executable, ...differences };
  const disk = await hashOnDisk(join(machine.paths.claudeDir, path));
  const foreign = disk !== null && !context.leaving.has(path) && !(context.fresh && disk === sha256);
  if (was === undefined && foreign && !context.lost) {
    context.warnings.push(`PATH_OCCUPIED: ${path} is not ours and stays as it is`);
    return null;
  }
  if (was !== undefined && disk !== was.sha256 && disk !== sha256) {
    if (context.editsTaken) file.over = disk ?? '';
    else context.warnings.push(`PATH_OCCUPIED: ${path} was edited here and stays as it is`);
  }
  return file;
}

async function applyCopies(m: Machine, before: Owned<LooseFile>[], after: Owned<LooseFile>[]): Promise<void> {
  const wanted = new Set(after.flatMap((o) => o.entries.map((entry) => entry.path)));
  for (const { path, sha256 } of before.flatMap((o) => o.entries)) {
    const absolute = join(m.paths.claudeDir, path);
    // Done again, a folder may lie there that the new version brought.
    if (wanted.has(path) || statOf(absolute)?.isFile() !== true) continue;
    if ((await hashOnDisk(absolute)) === sha256) await removeFile(m.port, absolute);
  }
  for (const copy of await copiesToWrite(m, before, after)) await writeCopy(m, copy);
  const roots = new Map(before.map((o) => [o.plugin, o.root]));
  for (const { plugin, root, entries } of after) {
    // A file that was there keeps its bits when it is written: what is laid anew gets back the one that it lost.
    if (roots.get(plugin) === root) continue;
    for (const entry of entries) await makeExecutable(m, entry);
  }
}

async function makeExecutable(m: Machine, entry: LooseFile): Promise<void> {
  const absolute = join(m.paths.claudeDir, entry.path);
  const stat = entry.executable ? statOf(absolute) : null;
  if (stat?.isFile() !== true) return;
  const there = { kind: 'file' as const, sha256: (await hashOnDisk(absolute)) ?? '', mode: stat.mode & 0o777 };
  if (hasLostBit(entry, there)) await m.port.chmod(absolute, there.mode | ((there.mode & 0o444) >> 2));
}

/**
 * Copies of `after` that do not lie there yet. A file that holds neither what we wrote nor what was taken up was edited meanwhile,
 * and stays.
 * @param leaving hash by absolute path: what the change takes away before it writes
 */
export async function copiesToWrite(
  m: Machine,
  before: Owned<LooseFile>[],
  after: Owned<LooseFile>[],
  leaving: ReadonlyMap<string, string> = new Map(),
): Promise<OutsideCopy[]> {
  const old = new Map(before.flatMap((o) => o.entries.map((entry) => [entry.path, { entry, root: o.root }] as const)));
  const copies: OutsideCopy[] = [];
  for (const { plugin, root, entries } of after) {
    for (const entry of entries) {
      const { path, from, sha256, executable } = entry;
      const was = old.get(path);
      const absolute = join(m.paths.claudeDir, path);
      // Of the same tree: nothing was decided anew, and a person may have edited or deleted it since.
      if (was?.root === root && JSON.stringify(was.entry) === JSON.stringify(entry)) continue;
      if (!(await isToWrite(absolute, was?.entry, entry, leaving.get(absolute)))) continue;
      const bytes = async (): Promise<Buffer | null> => {
        const inTree = await readFileOrNull(join(root, from));
        return inTree === null ? null : looseBytes(inTree, root, entry);
      };
      copies.push({ plugin, path: absolute, sha256, mode: executable ? 0o755 : 0o644, bytes });
    }
  }
  return copies;
}

async function isToWrite(
  absolute: string,
  was: LooseFile | undefined,
  entry: LooseFile,
  leaving: string | undefined,
): Promise<boolean> {
  const disk = await hashOnDisk(absolute);
  if (disk === null || disk === leaving) return was === undefined || entry.over === '';
  return disk !== entry.sha256 && (disk === was?.sha256 || disk === entry.over);
}
