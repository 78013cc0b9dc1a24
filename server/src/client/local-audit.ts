import { stat } from 'node:fs/promises';
import type { LocalChange, LocalEntry, LocalProof } from '../domain/local-audit.ts';
import { noteChanges, proveLocalAudit, readLocalAudit } from '../machine/audit-log.ts';
import { withLock } from '../machine/lock.ts';
import { readReceipts } from '../machine/receipts.ts';
import { recover } from '../machine/transaction.ts';
import type { ClientContext } from './context.ts';

/** Longer than any change of ours takes, milliseconds. */
const PATIENCE_MS = 30_000;

/**
 * Notes what is about to be changed outside of plugins (configuration, membership, keys). A crash may leave an entry of a change that
 * then was not made, never a change without its entry.
 * @param options.begins also where nothing of ours is on this machine yet
 * @throws HaiveError LOCKED, DISK_FULL, READ_ONLY, IO_ERROR
 */
export async function noteBefore(
  ctx: ClientContext,
  changes: readonly Pick<LocalChange, 'what' | 'target' | 'from' | 'before' | 'after'>[],
  options: { begins?: boolean } = {},
): Promise<void> {
  const { machine } = ctx;
  const there = await stat(machine.paths.root).then(
    () => true,
    () => false,
  );
  if (!there && options.begins !== true) return;
  await withLock(
    machine,
    'audit',
    async () => {
      await recover(machine);
      await noteChanges(
        machine,
        changes.map((change) => ({ ...change, result: 'done' })),
      );
    },
    { waitMs: PATIENCE_MS },
  );
}

/**
 * Notes what this machine would not install, once as long as the same is refused. The lock must be held and recovery done.
 * @throws HaiveError DISK_FULL, READ_ONLY, IO_ERROR
 */
export async function noteRefusals(
  ctx: ClientContext,
  refused: readonly { name: string; version: string; digest: string; from: string; code: string; message: string }[],
): Promise<void> {
  if (refused.length === 0) return;
  const last = new Map((await readLocalAudit(ctx.machine)).map((entry) => [entry.target, entry]));
  const after = (r: (typeof refused)[number]) => ({ version: r.version, digest: r.digest, why: r.message });
  const same = (r: (typeof refused)[number]): boolean => {
    const entry = last.get(r.name);
    return entry?.result === r.code && JSON.stringify(entry.after) === JSON.stringify(after(r));
  };
  const fresh = refused.filter((r) => !same(r));
  await noteChanges(
    ctx.machine,
    fresh.map((r) => ({
      ...{ what: 'refuse', target: r.name, from: r.from, before: null, after: after(r), result: r.code },
    })),
  );
}

/** This machine's own history, newest last, and whether it is as it was written. @throws HaiveError IO_ERROR */
export async function localAudit(ctx: ClientContext): Promise<{ entries: LocalEntry[]; proof: LocalProof }> {
  const entries = await readLocalAudit(ctx.machine);
  return { entries, proof: await proveLocalAudit(ctx.machine, (await readReceipts(ctx.machine)).audit) };
}
