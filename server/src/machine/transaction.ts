import { dirname, join } from 'node:path';
import { HaiveError } from '../domain/errors.ts';
import type { Dependency } from '../domain/manifest.ts';
import type { Origin } from '../domain/plan.ts';
import type { VersionRecord } from '../domain/version-record.ts';
import { type Prepared, prepareAtomic, temporaryOf, writeAtomic } from './atomic-file.ts';
import { changesBetween } from './audit-changes.ts';
import { appendLines, sealChanges } from './audit-log.ts';
import { applyEffects, flipPointer, preparedFiles, removeFromSettings, temporaryFiles } from './effects.ts';
import { makeDirs, readFileOrNull, removeEmptyDir, removeFile, removeTree } from './file-port.ts';
import { type Keep, runKeeps, temporaryKeeps } from './keeps.ts';
import { ensureRoot, type Machine, syncFoldersLater } from './machine.ts';
import { planChange } from './plan-change.ts';
import { checkReceipts, type Layout, type Receipts, readReceipts, receiptsText } from './receipts.ts';
import type { Edit, Take } from './render.ts';
import { checkSpace, readBack, stageTree } from './stage.ts';

/**
 * One change of this machine: all of it or nothing, whenever the process dies. The journal is written first and taken
 * away last. What commits is the rename of the pointer file; where nothing is written beforehand it is the journal itself, and
 * where plugins are removed its `applying`, because their keys leave settings.json before the pointer. Before the commit recovery
 * rolls back, after it forward.
 */

/** One version to be installed, as the plan names it. */
export interface InstallEntry {
  id: string;
  name: string;
  version: string;
  digest: string;
  origin: Origin;
  dependencies: Dependency[];
  /** Reinstall, also over the user's edits, when it differs from the receipt's. */
  force?: string | undefined;
}

export interface Install {
  entry: InstallEntry;
  record: VersionRecord;
  /** Whose signature held. */
  keyid: string;
}

export interface Change {
  install: Install[];
  /** Names. */
  remove: string[];
  reason: 'sync' | 'install' | 'update' | 'remove' | 'rollback' | 'leave';
  /** Put what was published over the user's edits; the edited tree is kept aside. */
  overwriteEdits?: boolean;
  /** Installed plugins whose keys in settings.json shall come back where they are gone; a `false` stays. */
  enable?: string[];
  holds?: { set?: Record<string, { version: string; digest: string }>; clear?: string[] };
  /** Everything moves to this layout; it stays as it is when absent. */
  layout?: Layout;
  /** By plugin and path: what a person decided of single edits; the plugin must be among `install`. */
  take?: Record<string, Take>;
  /** Removed plugins whose edits are not kept as an overlay. */
  purge?: string[];
}

export interface ChangeResult {
  installed: { name: string; version: string; from: string | null }[];
  removed: string[];
  edits: Edit[];
  /** For people: `CODE: what was left as it is`. */
  warnings: string[];
}

export interface Progress {
  phase: 'staging' | 'applying';
  /** The plugin being written; empty while applying. */
  name: string;
  done: number;
  total: number;
}

const JOURNAL_FORMAT = 1;

interface Journal {
  format: number;
  phase: 'staging' | 'applying';
  /** Trees that are being written, relative to the root. */
  staged: string[];
  prev: Receipts;
  next: Receipts;
  /** Edits that are put aside; absent in journals of older programs. */
  keeps?: Keep[];
  /** Lines for audit.jsonl; absent in journals of older programs. */
  audit?: string[];
  /** What the pointer file says once the change is made. */
  marketplace: string;
}

/** @param synced false: the caller syncs `journalPaths` before anything of the change counts */
async function writeJournal(m: Machine, journal: Journal, synced: boolean): Promise<void> {
  await writeAtomic(m.port, m.paths.journal, JSON.stringify(journal), { fsync: synced });
}

const journalPaths = (m: Machine): string[] => [m.paths.journal, dirname(m.paths.journal)];

async function readJournal(m: Machine): Promise<Journal | null> {
  const bytes = await readFileOrNull(m.paths.journal);
  if (bytes === null) return null;
  let journal: Journal;
  try {
    journal = JSON.parse(bytes.toString('utf8')) as Journal;
  } catch (cause) {
    // The power went before it was on the disk, and nothing that counts is done before that; what was staged is an orphan.
    if (isTorn(bytes)) return null;
    throw new HaiveError('IO_ERROR', `${m.paths.journal} is damaged`, { cause });
  }
  if (journal.format !== JOURNAL_FORMAT) {
    throw new HaiveError('FORMAT_UNSUPPORTED', `${m.paths.journal} has format ${journal.format}`);
  }
  checkReceipts(journal.prev, m.paths.journal);
  checkReceipts(journal.next, m.paths.journal);
  return journal;
}

/** Whether these are bytes of a journal that a loss of power left: none, nothing but zeros, or its beginning. */
function isTorn(bytes: Buffer): boolean {
  const text = bytes.toString('utf8').replace(/\0+$/, '');
  return text === '' || text.startsWith(`{"format":${JOURNAL_FORMAT},`);
}

/**
 * Finishes or undoes what a process that died left behind. The lock must be held. Safe to be stopped and run again.
 * @throws HaiveError SETTINGS_INVALID, READ_ONLY, DISK_FULL, IO_ERROR (the journal stays, the next run tries again), FORMAT_UNSUPPORTED
 */
export async function recover(m: Machine): Promise<'nothing' | 'rolled-back' | 'rolled-forward'> {
  const journal = await readJournal(m);
  if (journal === null) {
    const own = [m.paths.journal, m.paths.receipts, m.paths.audit].map(temporaryOf);
    for (const path of [...own, ...(await preparedFiles(m))]) await removeFile(m.port, path);
    await removeFile(m.port, m.paths.journal);
    return 'nothing';
  }
  const temporary = await temporaryFiles(m, journal.prev, journal.next);
  for (const path of [...temporary, ...temporaryKeeps(m, journal.keeps ?? [])]) await removeFile(m.port, path);
  const pointer = await readFileOrNull(m.paths.marketplace);
  if (journal.phase === 'applying' || pointer?.toString('utf8') === journal.marketplace) {
    await rollForward(m, journal);
    return 'rolled-forward';
  }
  await rollBack(m, journal);
  return 'rolled-back';
}

async function rollBack(m: Machine, journal: Journal): Promise<void> {
  for (const dir of journal.staged) {
    await removeTree(m.port, join(m.paths.root, dir));
    await removeEmptyDir(m.port, dirname(join(m.paths.root, dir)));
  }
  for (const dir of [m.paths.versions, dirname(m.paths.marketplace)]) await removeEmptyDir(m.port, dir);
  await removeFile(m.port, m.paths.journal);
}

async function rollForward(m: Machine, journal: Journal): Promise<void> {
  const receipts = await readFileOrNull(m.paths.receipts);
  // All is done but for the journal: what people changed since then is theirs.
  if (receipts?.toString('utf8') !== receiptsText(journal.next)) await finish(m, journal);
  else await removeFile(m.port, m.paths.journal);
}

/** Everything from the commit on; every step gives the same result when done again. */
async function finish(m: Machine, journal: Journal): Promise<string[]> {
  const { prev, next } = journal;
  const later = syncFoldersLater(m);
  const behind = later.machine;
  // The commit itself, where the journal is not, must be on the disk before anything else is.
  const before = journal.phase === 'applying' ? behind : m;
  await runKeeps(before, journal.keeps ?? []);
  await removeFromSettings(before, prev, next);
  await flipPointer(before, journal.marketplace);
  const warnings = await applyEffects(behind, prev, next);
  await appendLines(behind, journal.audit ?? []);
  await writeAtomic(behind.port, m.paths.receipts, receiptsText(next), { fsync: false });
  await later.settle([m.paths.receipts, dirname(m.paths.receipts)]);
  // What lay ready and was not needed, because others changed those files meanwhile, and the journal last.
  for (const path of [...(m.prepared?.keys() ?? []), m.paths.journal]) await removeFile(m.port, path);
  return warnings;
}

/**
 * Makes a change, whole. The lock must be held and `recover` done. Records and blobs must be in the blob store.
 * @param onProgress told of every tree that is written
 * @throws HaiveError BLOB_MISSING, HASH_MISMATCH, DIGEST_MISMATCH, VERIFY_FAILED, NAME_INVALID, NAME_RESERVED, PATH_UNSAFE, PATH_COLLISION, NOT_INSTALLED,
 *   SETTINGS_INVALID, READ_ONLY, DISK_FULL, IO_ERROR
 */
export async function applyChange(
  m: Machine,
  change: Change,
  onProgress: (progress: Progress) => void = () => {},
): Promise<ChangeResult> {
  await ensureRoot(m);
  const prev = await readReceipts(m);
  const plan = await planChange(m, prev, change);
  if (!plan.changed) return plan.result;
  const staged = plan.trees.map((tree) => tree.dir);
  const sealed = await sealChanges(m, changesBetween(prev, plan.next, change.reason), prev.audit);
  plan.next.audit = sealed.head;
  // Keys that go do so before the pointer, and edits are put aside: from there on there is no way back.
  const removes = change.remove.length > 0 || plan.next.layout !== prev.layout || plan.keeps.length > 0;
  const journal: Journal = {
    format: JOURNAL_FORMAT,
    phase: staged.length === 0 ? 'applying' : 'staging',
    staged,
    prev,
    next: plan.next,
    keeps: plan.keeps,
    audit: sealed.lines,
    marketplace: plan.marketplace,
  };
  await checkSpace(m, plan.bytes);
  let committed = false;
  try {
    const prepared: Prepared = new Map();
    for (const text of plan.texts) await prepareAtomic(m.port, prepared, text);
    await writeJournal(m, journal, false);
    // One wait for all costs what one alone does.
    const pending = [...prepared.keys(), ...journalPaths(m)];
    if (journal.phase === 'applying') await Promise.all(pending.map((path) => m.port.fsync(path)));
    committed = journal.phase === 'applying';
    for (const [i, tree] of plan.trees.entries()) {
      onProgress({ phase: 'staging', name: tree.name, done: i, total: plan.trees.length });
      await makeDirs(m.port, dirname(join(m.paths.root, tree.dir)));
      await stageTree(m, tree.dir, tree.rendered, i === 0 ? pending : []);
      await readBack(m, tree);
    }
    onProgress({ phase: 'applying', name: '', done: plan.trees.length, total: plan.trees.length });
    if (removes && !committed) {
      journal.phase = 'applying';
      await writeJournal(m, journal, true);
    }
    // From here on an error leaves the journal, and the next run finishes the change.
    committed = true;
    const warnings = await finish({ ...m, prepared }, journal);
    plan.result.warnings.push(...warnings.filter((w) => !plan.result.warnings.includes(w)));
    return plan.result;
  } catch (error) {
    if (!committed) await recover(m).catch(() => undefined);
    throw error;
  }
}
