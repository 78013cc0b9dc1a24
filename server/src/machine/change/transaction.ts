import { dirname, join } from 'node:path';
import type { Origin } from '../../domain/plan/index.ts';
import type { Dependency } from '../../domain/version/manifest.ts';
import type { VersionRecord } from '../../domain/version/record.ts';
import { changesBetween } from '../audit/changes.ts';
import { appendLines, sealChanges } from '../audit/log.ts';
import { type Prepared, prepareAtomic, temporaryOf } from '../files/atomic-file.ts';
import { allOf } from '../files/disk-sync.ts';
import { readFileOrNull, removeEmptyDir, removeFile, removeTree } from '../files/file-port.ts';
import { ensureRoot, type Machine, syncFoldersLater } from '../machine.ts';
import { receiptsBytes } from '../receipts/bytes.ts';
import { type Layout, readReceipts, writeReceipts } from '../receipts/index.ts';
import { applyEffects, copiesOf, flipPointer, preparedFiles, removeFromSettings, temporaryFiles } from './effects.ts';
import { type Journal, journalPaths, readJournal, writeJournal } from './journal.ts';
import { runKeeps, temporaryKeeps } from './keeps.ts';
import { checkCopies, prepareCopies } from './outside-copies.ts';
import { planChange } from './plan-change.ts';
import type { Edit, Take } from './render.ts';
import { checkSpace, checkTrees, stageTrees } from './stage.ts';

/**
 * One change of this machine: all of it or nothing, whenever the process dies. The journal is written first and taken
 * away last. What commits is the rename of the pointer file; where nothing is written beforehand it is the journal itself, and its
 * `applying` where plugins are removed, because their keys leave settings.json before the pointer, or where no new tree moves the
 * pointer. Before the commit recovery rolls back, after it forward.
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
  /** Installed plugins whose keys in settings.json and bare commands shall come back where they are gone; a `false` stays. */
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
  for (const path of [...temporary, ...temporaryKeeps(m, journal.keeps)]) await removeFile(m.port, path);
  const pointer = await readFileOrNull(m.paths.marketplace);
  const flipped = journal.staged.length > 0 && pointer?.toString('utf8') === journal.marketplace;
  if (journal.phase === 'applying' || flipped) {
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
  for (const dir of [...journal.missing].sort((a, b) => b.length - a.length))
    await removeEmptyDir(m.port, join(m.paths.claudeDir, dir));
  await removeFile(m.port, m.paths.journal);
}

async function rollForward(m: Machine, journal: Journal): Promise<void> {
  const receipts = await readFileOrNull(m.paths.receipts);
  // All is done but for the journal: what people changed since then is theirs.
  if (receipts?.equals(receiptsBytes(journal.next)) !== true) await finish(m, journal);
  else await removeFile(m.port, m.paths.journal);
}

/** Everything from the commit on; every step gives the same result when done again. */
async function finish(m: Machine, journal: Journal): Promise<string[]> {
  const { prev, next } = journal;
  const later = syncFoldersLater(m);
  const behind = later.machine;
  // The commit itself, where the journal is not, must be on the disk before anything else is.
  const before = journal.phase === 'applying' ? behind : m;
  await runKeeps(before, journal.keeps);
  await removeFromSettings(before, prev, next);
  await flipPointer(before, journal.marketplace);
  const warnings = await applyEffects(behind, prev, next);
  await appendLines(behind, journal.audit);
  await writeReceipts(behind, next, { fsync: false });
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
  const copies = await copiesOf(m, prev, plan.next, plan.keeps);
  const journal: Journal = {
    phase: staged.length === 0 && copies.length === 0 ? 'applying' : 'staging',
    staged,
    prev,
    next: plan.next,
    keeps: plan.keeps,
    missing: plan.missing,
    audit: sealed.lines,
    marketplace: plan.marketplace,
  };
  await checkSpace(m, plan.bytes);
  let committed = false;
  try {
    const prepared: Prepared = new Map();
    for (const text of plan.texts) await prepareAtomic(m.port, prepared, text);
    // Only the journal knows of half-written copies among the files of others, so it is on the disk before them.
    await writeJournal(m, journal, false);
    if (copies.length > 0) await m.port.syncAll(journalPaths(m));
    const total = plan.trees.length;
    const trees = await stageTrees(m, plan.trees, ({ name }, done) =>
      onProgress({ phase: 'staging', name, done, total }),
    );
    await prepareCopies(m, prepared, copies);
    // One wait for all costs what one alone does, and what is read back meanwhile costs nothing.
    const paths = [...trees.files, ...trees.folders, ...prepared.keys(), ...journalPaths(m)];
    await allOf([m.port.syncAll(paths), checkTrees(m, plan.trees, trees), checkCopies(prepared, copies)]);
    committed = journal.phase === 'applying';
    onProgress({ phase: 'applying', name: '', done: total, total });
    if (!committed && (removes || staged.length === 0)) {
      journal.phase = 'applying';
      await writeJournal(m, journal, true);
    }
    // From here on an error leaves the journal, and the next run finishes the change.
    committed = true;
    const warnings = await finish({ ...m, prepared, planned: plan.edits }, journal);
    plan.result.warnings.push(...warnings.filter((w) => !plan.result.warnings.includes(w)));
    return plan.result;
  } catch (error) {
    if (!committed) await recover(m).catch(() => undefined);
    throw error;
  }
}
