import { dirname, join } from 'node:path';
import { writeAtomic } from '../atomic-file.ts';
import { makeDirs, readFileOrNull, removeFile } from '../file-port.ts';
import { hashOnDisk } from '../global-commands.ts';
import type { Machine } from '../machine.ts';
import type { LooseFile } from '../receipts.ts';
import type { LooseContext, LooseInstaller, Owned } from './installer.ts';
import { looseBytes, looseHash, renameIn } from './layout-text.ts';
import { isOccupied, settleClash, suffixed } from './names.ts';

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
  } else if (!(await isFree(at)) && !(await isAsWritten(context, unit)))
    at = await settleClash(context, kind, at, suffixed(at, source.plugin), isFree);
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
async function isAsWritten({ machine, source, fresh }: LooseContext, unit: Unit): Promise<boolean> {
  if (!fresh) return false;
  for (const [from, below] of unit.files) {
    const bytes = await source.read(from);
    const path = below === '' ? unit.at : `${unit.at}/${below}`;
    const disk = await hashOnDisk(join(machine.paths.claudeDir, path));
    if (bytes === null || disk !== looseHash(bytes, source.root, undefined)) return false;
  }
  return true;
}

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1).replace(/\.md$/i, '');

async function planFile(
  context: LooseContext,
  kind: LooseFile['kind'],
  { from, path, name }: { from: string; path: string; name: string | undefined },
): Promise<LooseFile | null> {
  const { machine, source, before } = context;
  const bytes = await source.read(from);
  if (bytes === null) return null;
  const renamed = name === undefined ? undefined : renameIn(bytes, name);
  const executable = source.files.find((f) => f.path === from)?.executable === true;
  const sha256 = looseHash(bytes, source.root, renamed);
  const file: LooseFile = { kind, from, path, sha256, executable, ...(renamed === undefined ? {} : { renamed }) };
  const was = before?.files.find((f) => f.path === path);
  const disk = await hashOnDisk(join(machine.paths.claudeDir, path));
  const foreign = disk !== null && !context.leaving.has(path) && !(context.fresh && disk === sha256);
  if (was === undefined && foreign) {
    context.warnings.push(`PATH_OCCUPIED: ${path} is not ours and stays as it is`);
    return null;
  }
  if (was !== undefined && disk !== was.sha256 && disk !== sha256) {
    if (context.editsTaken) file.over = disk ?? '';
    else context.warnings.push(`PATH_OCCUPIED: ${path} was edited here and stays as it is`);
  }
  return file;
}

/**
 * A file that holds neither what we wrote nor what was taken up was edited meanwhile, and stays. A copy that does not read back as it
 * was written would be taken for an edit: it does not get into place, and recovery writes it again.
 */
async function applyCopies(m: Machine, before: Owned<LooseFile>[], after: Owned<LooseFile>[]): Promise<void> {
  const old = new Map(before.flatMap((o) => o.entries.map((entry) => [entry.path, entry] as const)));
  const wanted = new Set(after.flatMap((o) => o.entries.map((entry) => entry.path)));
  for (const [path, { sha256 }] of old) {
    const absolute = join(m.paths.claudeDir, path);
    if (!wanted.has(path) && (await hashOnDisk(absolute)) === sha256) await removeFile(m.port, absolute);
  }
  for (const { root, entries } of after) {
    for (const entry of entries) await applyCopy(m, root, old.get(entry.path), entry);
  }
}

async function applyCopy(m: Machine, root: string, was: LooseFile | undefined, entry: LooseFile): Promise<void> {
  if (was !== undefined && JSON.stringify(was) === JSON.stringify(entry)) return;
  const absolute = join(m.paths.claudeDir, entry.path);
  const disk = await hashOnDisk(absolute);
  if (disk === entry.sha256) return;
  const replaceable =
    disk === null ? was === undefined || entry.over === '' : disk === was?.sha256 || disk === entry.over;
  if (!replaceable) return;
  const bytes = await readFileOrNull(join(root, entry.from));
  if (bytes === null) return;
  await makeDirs(m.port, dirname(absolute));
  const mode = entry.executable ? 0o755 : 0o644;
  await writeAtomic(m.port, absolute, looseBytes(bytes, root, entry.renamed), { mode, readBack: true });
}
