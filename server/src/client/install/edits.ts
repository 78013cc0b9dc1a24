import { HaiveError } from '../../domain/errors.ts';
import { unifiedDiff } from '../../domain/merge/text-diff.ts';
import { editedPaths, lostBits, OURS_SUFFIX, readLive, type Take } from '../../machine/change/render.ts';
import { applyChange, recover } from '../../machine/change/transaction.ts';
import { inspect, missingOutside } from '../../machine/drift.ts';
import { readFileOrNull } from '../../machine/files/file-port.ts';
import { textOf } from '../../machine/loose/layout-text.ts';
import type { Machine } from '../../machine/machine.ts';
import { dropOverlaid, isOverlayNew, overlaidPaths } from '../../machine/overlay.ts';
import { withLock } from '../../machine/processes/lock.ts';
import { type Receipt, readReceipts } from '../../machine/receipts/index.ts';
import { getRecord, readBlob } from '../../machine/store/blob-store.ts';
import type { ClientContext } from '../context.ts';
import { type SyncProgress, syncMachine } from '../sync/index.ts';
import { installedHere } from './not-installed.ts';

/** A person's own changes of an installed plugin: shown, taken back, or settled where an update met them. */

export interface LocalEdit {
  /** In the plugin. */
  path: string;
  kind: 'changed' | 'added' | 'deleted';
  /** The published version could not be merged: it lies beside the edit. */
  conflict: boolean;
  /** It comes from this machine's overlay, which lies on top of every version. */
  overlay: boolean;
  /** Unified diff from what was published; empty where either side is no text. */
  diff: string;
}

export interface LocalEdits {
  name: string;
  version: string;
  edits: LocalEdit[];
  /** Files that were executable and are not any more: no edits, and put back by a repair. */
  unexecutable: string[];
}

/**
 * What was changed here since a plugin was published, file by file.
 * @throws HaiveError NOT_INSTALLED, IO_ERROR
 */
export async function localEdits(ctx: ClientContext, name: string): Promise<LocalEdits> {
  const { machine } = ctx;
  const receipt = await receiptOf(machine, name);
  const live = await readLive(machine, receipt);
  const edits: LocalEdit[] = [];
  const edited = live === null ? [] : editedPaths(live);
  const overlaid = overlaidPaths(receipt).filter((path) => live?.disk.has(path) && !edited.includes(path));
  for (const path of [...edited, ...overlaid].sort()) {
    if (path.endsWith(OURS_SUFFIX)) continue;
    const overlay = overlaid.includes(path);
    const file = receipt.files.find((f) => f.path === path);
    const there = live?.disk.get(path);
    const before = file === undefined ? Buffer.alloc(0) : await readBlob(machine, file.sha256).catch(() => null);
    const after = there === undefined ? Buffer.alloc(0) : (there.bytes ?? (await readFileOrNull(there.absolute)));
    const kind = there === undefined ? 'deleted' : file === undefined ? 'added' : 'changed';
    const conflict = receipt.conflicts.some((c) => c.path === path) && live?.disk.has(`${path}${OURS_SUFFIX}`) === true;
    edits.push({ path, kind, conflict, overlay, diff: diffOf(path, before, after) });
  }
  return { name, version: receipt.version, edits, unexecutable: live === null ? [] : lostBits(live) };
}

function diffOf(path: string, before: Buffer | null, after: Buffer | null): string {
  const [old, now] = [before === null ? null : textOf(before), after === null ? null : textOf(after)];
  return old === null || now === null ? '' : unifiedDiff(path, old, now);
}

const receiptOf = async (m: Machine, name: string): Promise<Receipt> => installedHere(await readReceipts(m), name);

export interface RepairResult {
  name: string;
  version: string;
  /** Paths (and what `missingOutside` names) that are as published again, or (`keep`) settled as they are. */
  paths: string[];
  /** Paths that nobody named and that stay as they were edited here. */
  edited: string[];
  /** Paths where this machine's overlay still lies on what was published. */
  overlaid: string[];
  warnings: string[];
}

/**
 * Puts the published files back, all or those named; what they replace is kept below `backups/edits`. This machine's overlay lies on
 * top again; a file of it that is named is taken out of it. Works without the hub as
 * long as the bytes are here. Keys that are gone from other people's files and bare commands that were deleted come back with a whole repair.
 * @param options.keep settles conflicts the other way: the edits stay and the published files beside them go
 * @throws HaiveError NOT_INSTALLED, NOT_FOUND (a path that was not changed), LOCKED, and those of files and of syncMachine
 */
export async function repairPlugin(
  ctx: ClientContext,
  name: string,
  paths: readonly string[] = [],
  options: { keep?: boolean; onProgress?: (progress: SyncProgress) => void } = {},
): Promise<RepairResult> {
  const { machine } = ctx;
  try {
    return await withLock(machine, 'repair', async () => {
      await recover(machine);
      return repairHere(machine, name, paths, options.keep === true);
    });
  } catch (thrown) {
    const lost = thrown instanceof HaiveError && (thrown.code === 'BLOB_MISSING' || thrown.code === 'HASH_MISMATCH');
    if (!lost || paths.length > 0 || options.keep === true) throw thrown;
    const progress = options.onProgress === undefined ? {} : { onProgress: options.onProgress };
    const sync = await syncMachine(ctx, { mode: 'explicit', only: [name], force: true, ...progress });
    return { ...(await standing(machine, name)), paths: [], warnings: sync.warnings };
  }
}

async function repairHere(m: Machine, name: string, paths: readonly string[], keep: boolean): Promise<RepairResult> {
  const receipt = await receiptOf(m, name);
  const drift = (await inspect(m)).find((p) => p.name === name);
  const lost = await missingOutside(m, receipt);
  const live = await readLive(m, receipt);
  const gone = drift?.missing.filter((path) => !lost.includes(path)) ?? [];
  const edited = live === null ? gone : editedPaths(live).filter((p) => !p.endsWith(OURS_SUFFIX));
  const dull = live === null ? [] : lostBits(live);
  const chosen = paths.length > 0 ? [...paths] : keep ? (drift?.conflicts ?? []) : [...edited, ...dull];
  const overlaid = overlaidPaths(receipt);
  for (const path of chosen) {
    if (edited.includes(path) || ([...overlaid, ...dull].includes(path) && !keep)) continue;
    throw new HaiveError('NOT_FOUND', `${path} of ${name} was not changed here`, {
      hint: `Run \`hv diff ${name}\`; it lists what was.`,
    });
  }
  const whole = paths.length === 0 && !keep;
  const enable = whole && lost.length > 0 ? { enable: [name] } : {};
  const lay = whole && live !== null && (await isOverlayNew(m, receipt));
  const broken = lay || (whole && (drift?.state === 'missing' || drift?.state === 'damaged'));
  if (chosen.length === 0 && !broken && enable.enable === undefined) {
    return { ...(await standing(m, name)), paths: [], warnings: [] };
  }
  const kept = await getRecord(m, receipt.digest);
  if (kept === null) throw new HaiveError('BLOB_MISSING', `The record of ${name}@${receipt.version} is not here`);
  const { id, version, digest, origin, dependencies, force, keyid } = receipt;
  const entry = { id, name, version, digest, origin, dependencies, force };
  const dropped = keep ? [] : paths.filter((path) => overlaid.includes(path));
  for (const path of dropped) await dropOverlaid(m, receipt, path);
  const take: Take = Object.fromEntries(chosen.map((path) => [path, keep ? 'mine' : 'published']));
  const { warnings } = await applyChange(m, {
    install: chosen.length > 0 || broken ? [{ entry, record: kept.record, keyid }] : [],
    remove: [],
    reason: 'install',
    ...(whole ? { overwriteEdits: true } : { take: { [name]: take } }),
    ...enable,
  });
  const back = enable.enable === undefined ? [] : lost;
  return { ...(await standing(m, name)), paths: [...chosen, ...back].sort(), warnings };
}

async function standing(m: Machine, name: string): Promise<Omit<RepairResult, 'paths' | 'warnings'>> {
  const receipt = await receiptOf(m, name);
  const overlaid = overlaidPaths(receipt);
  const live = await readLive(m, receipt);
  const changed = live === null ? [] : editedPaths(live);
  const edited = changed.filter((path) => !path.endsWith(OURS_SUFFIX) && !overlaid.includes(path));
  return { name, version: receipt.version, edited, overlaid };
}
