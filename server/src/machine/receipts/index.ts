import { HaiveError } from '../../domain/errors.ts';
import type { AuditHead } from '../../domain/local-audit.ts';
import type { Origin } from '../../domain/plan/index.ts';
import type { Dependency } from '../../domain/version/manifest.ts';
import type { DevTree } from '../dev-override.ts';
import { writeAtomic } from '../files/atomic-file.ts';
import { readFileOrNull } from '../files/file-port.ts';
import { keepWritten, readKept } from '../files/kept-reads.ts';
import type { Machine } from '../machine.ts';
import { receiptsBytes } from './bytes.ts';

const RECEIPTS_FORMAT = 1;

/** What lies at one path of an installed tree. */
export interface ReceiptFile {
  path: string;
  /** As published: the blob. */
  sha256: string;
  size: number;
  /** As published; false where the file system keeps no such bit. */
  executable: boolean;
  /** sha256 of what we wrote where it differs from what was published (a merge, a kept edit, an overlay). */
  rendered?: string;
  /** True when the difference comes from the machine's overlay, not from an edit. */
  overlay?: boolean;
  /** The user had deleted the file and it stayed deleted. */
  deleted?: boolean;
  /** sha256 of what was to lie here before its command lines were rewritten for the launcher; `rendered` is of what does. */
  confined?: string;
}

/** One rendered tree on disk: live, kept for rollback, or waiting to be collected. */
export interface TreeReceipt {
  version: string;
  digest: string;
  /** Relative to the root, POSIX: `versions/NAME/1.2.0-0123456789ab`. */
  dir: string;
  files: ReceiptFile[];
  /** Files of ours beyond the version's: additions of the overlay, `.hv-new` beside a conflict. */
  extras: { path: string; sha256: string }[];
  /** Paths where the user's file stayed and ours lies beside it; `base` is the sha256 both started from. */
  conflicts: { path: string; base: string | null }[];
  keyid: string;
  id: string;
  description: string;
  dependencies: Dependency[];
  /** How its programs are confined (Confining.mark); absent: they are not. */
  confined?: string;
}

/** How plugins lie on this machine: as a marketplace of the client, or copied among the user's own things. */
export type Layout = 'native' | 'loose';

/** Lines of a front matter that a copy leaves out. */
export interface Cut {
  /** The line before them, without its end; empty for the first. */
  after: string;
  text: string;
}

/** One file copied out of a tree. */
export interface LooseFile {
  kind: 'command' | 'agent' | 'skill' | 'style' | 'theme';
  /** In the tree. */
  from: string;
  /** Relative to `~/.claude`, POSIX. */
  path: string;
  /** Of what we wrote. */
  sha256: string;
  executable: boolean;
  /** The front matter's own `name:` line and what stands there under a suffix. */
  renamed?: { was: string; ours: string };
  /** Front matter that only a plugin's file may have, because it does nothing there; the copy goes without it. Absent: not looked for. */
  cuts?: Cut[];
  /** sha256 that lay there when the change was planned and may be replaced: an edit already taken up. Empty: nothing lay there. */
  over?: string;
}

/** A group of handlers in settings.json `hooks`. */
export interface LooseHook {
  event: string;
  group: unknown;
}

/** A key of `mcpServers` in ~/.claude.json. */
export interface LooseServer {
  name: string;
  value: unknown;
}

/** Exactly what was written outside our folder in the loose layout. */
export interface LooseReceipt {
  /** LOOSE_RULES of the program that decided it; absent where that had none yet. */
  rules?: number;
  /** LOOSE_RULES that it could not have: nothing that happens by itself tries again. */
  tried?: number;
  files: LooseFile[];
  hooks: LooseHook[];
  servers: LooseServer[];
}

/** A command that the client has without the plugin's name. */
export interface BareCommand {
  /** Relative to the client's folder of commands. */
  path: string;
  sha256: string;
  /** How often a person asked for it after deleting it. */
  again?: number;
}

export interface Receipt extends TreeReceipt {
  name: string;
  origin: Origin;
  /** ISO-8601. */
  installedAt: string;
  updatedAt: string;
  state: 'verified' | 'loaded' | 'failed';
  /** Paths relative to the folder of links. */
  links: string[];
  globalCommands: BareCommand[];
  /** Newest first, still on disk. */
  previous: TreeReceipt[];
  force?: string;
  /** How often a person asked for the plugin's lost keys in settings.json to come back. */
  enabled?: number;
  error?: { code: string; message: string };
  /** The user had disabled it when the layout changed: nothing of it is active until somebody installs it again. */
  off?: true;
  /** Only in the loose layout. */
  loose?: LooseReceipt;
}

/** What must be known to take our keys out of other people's files so that the bytes are as before. */
export interface FileNotes {
  /** We made the file. */
  created: boolean;
  /** Objects we made, as JSON pointers. */
  parents: string[];
  /** Values we replaced, by JSON pointer: the text before and the text we wrote. */
  replaced: Record<string, { was: string; ours: string }>;
  /** Keys of ours that were there before us, by JSON pointer: never removed. */
  foreign: string[];
}

export interface ReceiptNotes {
  settings: FileNotes;
  installedPlugins: FileNotes;
  /** ~/.claude.json; only the loose layout writes there. */
  claudeJson: FileNotes;
  /** Folders that we made for links, commands and the client's list; removed when empty. Relative to `~/.claude`. */
  madeDirs: string[];
}

export interface Receipts {
  format: 1;
  layout: Layout;
  plugins: Record<string, Receipt>;
  /** By plugin name: a rollback on this machine that a sync must not undo. */
  holds: Record<string, { version: string; digest: string; at: string }>;
  /** By digest: failed verification or loading here, not tried again by itself. */
  refused: Record<string, { reason: string; at: string }>;
  /** Trees nobody points to, kept until no session can use them. */
  retired: (TreeReceipt & { name: string; at: string })[];
  notes: ReceiptNotes;
  /** The last entry of audit.jsonl when this was written: an end that is cut off is noticed. */
  audit?: AuditHead;
  /** By plugin name: folders shown to the client as they are being edited (`hv dev`). */
  dev?: Record<string, DevTree>;
}

/** An installed version as a plan would name it. */
export function entryOf({ id, name, version, digest, origin, dependencies, force }: Receipt) {
  return { id, name, version, digest, origin, dependencies, force };
}

export function noFileNotes(): FileNotes {
  return { created: false, parents: [], replaced: {}, foreign: [] };
}

export function noReceipts(): Receipts {
  return {
    format: RECEIPTS_FORMAT,
    layout: 'native',
    plugins: {},
    holds: {},
    refused: {},
    retired: [],
    notes: { settings: noFileNotes(), installedPlugins: noFileNotes(), claudeJson: noFileNotes(), madeDirs: [] },
  };
}

/**
 * What is installed, read without the lock: the file is replaced whole, so a reader sees the old or the new one. Frozen: copy it
 * before changing it.
 * @throws HaiveError FORMAT_UNSUPPORTED for a newer format, IO_ERROR for a file that is not ours to understand
 */
export async function readReceipts(m: Machine): Promise<Receipts> {
  return readKept(m.paths.receipts, (bytes) => understand(bytes, m.paths.receipts));
}

/** `whole` are also those of a newer program. @throws HaiveError READ_ONLY, IO_ERROR */
export async function stateOfReceipts(m: Machine): Promise<'whole' | 'damaged' | 'missing'> {
  const bytes = await readFileOrNull(m.paths.receipts);
  if (bytes === null) return 'missing';
  return haveFormat(jsonOf(bytes)) ? 'whole' : 'damaged';
}

function understand(bytes: Buffer | null, where: string): Receipts {
  if (bytes === null) return noReceipts();
  const value = jsonOf(bytes);
  if (haveFormat(value)) return checkReceipts(value, where);
  throw new HaiveError('IO_ERROR', `${where} is damaged`, {
    hint: 'Run `hv doctor --fix`: it puts the file aside and finds out again what is installed.',
  });
}

/** Undefined for what is no JSON. */
export function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Whether these are receipts: of a newer program by their number or layout alone, of this one by what everything else goes by. */
export function haveFormat(value: unknown): value is Receipts {
  if (!isObject(value) || !('format' in value)) return false;
  const { format, layout, plugins } = value;
  if (format !== RECEIPTS_FORMAT || (typeof layout === 'string' && !isLayout(layout))) return true;
  return isLayout(layout) && isObject(plugins) && Object.values(plugins).every(hasTree);
}

const isLayout = (value: unknown): value is Layout => value === 'native' || value === 'loose';

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const hasTree = (value: unknown): boolean =>
  isObject(value) && typeof value.dir === 'string' && Array.isArray(value.files);

/** @throws HaiveError FORMAT_UNSUPPORTED, IO_ERROR */
export function checkReceipts(receipts: unknown, where: string): Receipts {
  if (!haveFormat(receipts)) throw new HaiveError('IO_ERROR', `${where} is damaged`);
  if (receipts.format !== RECEIPTS_FORMAT) {
    throw new HaiveError('FORMAT_UNSUPPORTED', `${where} has format ${receipts.format}, not ${RECEIPTS_FORMAT}`);
  }
  if (!isLayout(receipts.layout)) {
    throw new HaiveError('FORMAT_UNSUPPORTED', `${where} is of layout ${receipts.layout}, which is not known here`);
  }
  const none = noReceipts();
  return { ...none, ...receipts, notes: { ...none.notes, ...receipts.notes } };
}

/**
 * Replaces the receipts; they are frozen from now on. The lock must be held.
 * @param options.fsync false: the caller waits until file and folder are on the disk
 */
export async function writeReceipts(m: Machine, receipts: Receipts, options: { fsync?: boolean } = {}): Promise<void> {
  await writeAtomic(m.port, m.paths.receipts, receiptsBytes(receipts), options);
  keepWritten(m.paths.receipts, receipts);
}

/**
 * Changes the receipts without touching anything else (holds, refused digests, states). The lock must be held and
 * recovery done.
 */
export async function updateReceipts(m: Machine, change: (receipts: Receipts) => void): Promise<Receipts> {
  const receipts = structuredClone(await readReceipts(m));
  change(receipts);
  await writeReceipts(m, receipts);
  return receipts;
}

/** Remembers that a digest failed here, so that no sync tries it again by itself. The lock must be held. */
export async function refuseDigest(m: Machine, digest: string, reason: string): Promise<void> {
  await updateReceipts(m, (receipts) => {
    receipts.refused[digest] = { reason, at: m.clock().toISOString() };
  });
}
