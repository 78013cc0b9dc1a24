import type { JsonObject } from '../../domain/json/read.ts';
import type { Machine } from '../machine.ts';
import type { FileNotes, LooseReceipt } from '../receipts/index.ts';

/** The shape of the installers of the loose layout. Each writes one kind of thing, and its receipts list exactly that. */

/** A rendered tree, on disk already or about to be. */
export interface LooseSource {
  plugin: string;
  /** Absolute path that the tree has or will have. */
  root: string;
  files: { path: string; executable: boolean }[];
  manifest: JsonObject;
  read(path: string): Promise<Buffer | null>;
  /** True when scripts of the plugin read CLAUDE_PLUGIN_ROOT from their environment. */
  wantsRoot: boolean;
}

export interface LooseContext {
  machine: Machine;
  source: LooseSource;
  /** What this plugin wrote before; `commands` made by the native layout count as such. */
  before: LooseReceipt | undefined;
  /** What other plugins have or will have. */
  others: LooseReceipt[];
  /** Files of ours, unedited, that the same change takes away. */
  leaving: ReadonlySet<string>;
  /** No receipts at all: either nothing was here before, or they were lost with our folder. */
  fresh: boolean;
  /** The receipts of this installed plugin were lost: what lies under its names is found out, edited or not, and nothing is refused. */
  lost?: true;
  /** Whether edits of what was written before have been taken up into the tree (or shall be replaced). */
  editsTaken: boolean;
  /** Names of the plugin's servers as they will be; filled by the server installer. */
  servers: Map<string, string>;
  warnings: string[];
}

/** Where `apply` writes: files go to the machine, keys into a text that the caller reads and writes. */
export interface TextTarget {
  text: string;
  notes: FileNotes;
  /** The file's name, for messages. */
  where: string;
}

export interface Owned<T> {
  plugin: string;
  /** The tree that an entry leads into. */
  root: string;
  entries: T[];
  /** How often a person asked for lost keys to come back. */
  enabled: number;
}

export interface LooseInstaller<T, Target, Done> {
  /** Decides what will be written. Reads only. @throws HaiveError NAME_CLASH, LAYOUT_UNSUPPORTED */
  plan(context: LooseContext): Promise<T[]>;
  /** Makes the target say `after` where it said `before`; doing it again changes nothing. */
  apply(target: Target, before: Owned<T>[], after: Owned<T>[]): Done;
  /** Takes out what `apply` put in. */
  undo(target: Target, entries: Owned<T>[]): Done;
}
