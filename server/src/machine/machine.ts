import { existsSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import type { PlannedEdits } from './change/effects.ts';
import type { Confining } from './confine.ts';
import { type Prepared, writeAtomic } from './files/atomic-file.ts';
import { type FilePort, makeDirs, readFileOrNull, realFilePort, statOf, withFileErrors } from './files/file-port.ts';
import type { MachinePaths } from './paths.ts';
import type { Fresh } from './store/intake.ts';

/** This machine's side: where things lie, how files are changed, what time it is. Opening touches nothing. */
export interface Machine {
  readonly paths: MachinePaths;
  readonly port: FilePort;
  readonly clock: () => Date;
  /** The configuration's `verify_checksums` and `backup_before_update`; both true where nothing is said. */
  readonly rehash?: boolean | undefined;
  readonly backups?: boolean | undefined;
  /** The configuration's `name_clash`, for the loose layout; `refuse` where nothing is said. */
  readonly nameClash?: 'refuse' | 'suffix' | undefined;
  /** Bytes that are free where our folder lies; asked of the system where absent. */
  readonly room?: (() => number) | undefined;
  /** Bytes of the answer under way, checked as they arrived. */
  readonly fresh?: Fresh | undefined;
  /** During a change: files that lie ready to be renamed. */
  readonly prepared?: Prepared | undefined;
  /** During a change: the edits of other people's files as they were planned. */
  readonly planned?: PlannedEdits | undefined;
  /** How programs of plugins are confined here, asked anew for each change; null where no policy says so. */
  readonly confining?: (() => Promise<Confining | null>) | undefined;
}

export function openMachine(options: {
  paths: MachinePaths;
  port?: FilePort;
  clock: () => Date;
  rehash?: boolean;
  backups?: boolean;
  nameClash?: 'refuse' | 'suffix';
  confining?: () => Promise<Confining | null>;
}): Machine {
  return {
    paths: options.paths,
    port: withFileErrors(options.port ?? realFilePort()),
    clock: options.clock,
    rehash: options.rehash,
    backups: options.backups,
    nameClash: options.nameClash,
    confining: options.confining,
  };
}

/**
 * The same machine, which notes the folders to be synced; `settle` syncs them and what it is told besides, all at once. For steps
 * behind a commit: a loss of power may undo any of them, because the journal, which goes last, says how to do them again.
 */
export function syncFoldersLater(machine: Machine): {
  machine: Machine;
  settle(besides?: readonly string[]): Promise<void>;
} {
  const folders = new Set<string>();
  const fsync = async (path: string): Promise<void> => void folders.add(path);
  const syncAll = async (paths: readonly string[]): Promise<void> => void paths.map((path) => folders.add(path));
  return {
    machine: { ...machine, port: { ...machine.port, fsync, syncAll } },
    async settle(besides = []) {
      // One that is gone again has nothing to keep.
      const there = [...folders, ...besides].filter((path) => existsSync(path));
      await machine.port.syncAll(there);
      folders.clear();
    },
  };
}

/**
 * Makes our folder where it is missing, and remembers which folders above it were made for that.
 * @throws HaiveError DISK_FULL, READ_ONLY, IO_ERROR
 */
export async function ensureRoot(machine: Machine): Promise<void> {
  const { paths, port } = machine;
  if (statOf(paths.root) !== null) return;
  const made = await makeDirs(port, paths.root);
  if (made.length === 0) return;
  const above = made.filter((dir) => dir !== paths.root).map((dir) => relative(dirname(paths.claudeDir), dir));
  // Written even when empty: a missing list means that nobody knows (a crash came between).
  await writeAtomic(port, paths.made, `${JSON.stringify(above)}\n`, { fsync: false });
}

/**
 * Folders above our root that we made, relative to the folder that holds `~/.claude`, outermost first. Where it is not
 * known any more: all of them, since they are only ever removed when empty.
 */
export async function madeDirs(machine: Machine): Promise<string[]> {
  const { paths } = machine;
  const bytes = await readFileOrNull(paths.made);
  try {
    const value: unknown = JSON.parse(bytes?.toString('utf8') ?? '');
    if (Array.isArray(value)) return value.filter((v) => typeof v === 'string');
  } catch {
    // Missing or torn.
  }
  const base = dirname(paths.claudeDir);
  return [...new Set([paths.claudeDir, paths.pluginsDir])].map((dir) => relative(base, dir));
}
