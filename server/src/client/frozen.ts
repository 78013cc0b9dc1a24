import { readFile } from 'node:fs/promises';
import { HaiveError, toHaiveError } from '../domain/errors.ts';
import {
  againstLock,
  isAsLocked,
  type LockDifference,
  type Locked,
  lockMismatch,
  lockText,
  parseLock,
} from '../domain/lockfile.ts';
import { fileError } from '../machine/file-port.ts';
import { type Receipts, readReceipts } from '../machine/receipts.ts';
import type { ClientContext } from './context.ts';
import { fetchPlan } from './plan.ts';
import { ask } from './registry.ts';
import { forgetHold, holdAgain, withdrawRemoval } from './said-before.ts';
import { type SyncProgress, type SyncResult, syncMachine } from './sync.ts';

/** This machine's set as a lockfile's text. */
export async function lockMachine(ctx: ClientContext): Promise<{ text: string; plugins: Locked[] }> {
  const text = lockText(Object.values((await readReceipts(ctx.machine)).plugins));
  return { text, plugins: parseLock(text, 'the lockfile') };
}

/**
 * Makes this machine's set exactly the locked one: what differs is asked for (or excluded) at the hub, so that it stays, then synced.
 * @throws HaiveError LOCK_INVALID, LOCK_MISMATCH (the hub has other bytes of a locked version, or the set cannot be had), VERSION_NOT_FOUND,
 * PLUGIN_NOT_FOUND, NOT_ELIGIBLE, STATUS_FORBIDS and those of syncMachine. Nothing is ordered, installed or removed after any of them; where
 * the hub cannot be told any more that this machine did not take the set, the hint says that the order waits.
 */
export async function syncFrozen(
  ctx: ClientContext,
  file: string,
  onProgress?: (progress: SyncProgress) => void,
): Promise<SyncResult> {
  const text = await readFile(file, 'utf8').catch((cause) => {
    if (cause.code === 'ENOENT')
      throw new HaiveError('LOCK_INVALID', `There is no lockfile ${file}`, {
        hint: 'Write one with `hv lock` on a machine that has the set, or name another with --lock FILE.',
      });
    throw fileError(cause, file, 'read');
  });
  const locked = parseLock(text, file);
  const order = await ask(ctx, 'machine', async (hub) => {
    // Nothing is ordered of a hub whose plans this machine refuses.
    await fetchPlan(ctx, hub, { fresh: true });
    return hub.call('orderSet', { params: { machine: 'me' }, body: { plugins: locked } });
  });
  const { holds } = await readReceipts(ctx.machine);
  try {
    for (const name of order.installed) {
      await forgetHold(ctx, name);
      await withdrawRemoval(ctx, name);
    }
    const progress = onProgress === undefined ? {} : { onProgress };
    const result = await syncMachine(ctx, { mode: 'explicit', whole: locked, ...progress });
    const left = await notAsLocked(ctx, locked);
    if (!isAsLocked(left)) throw lockMismatch(left, result.warnings);
    return { ...result, warnings: [...order.warnings, ...result.warnings] };
  } catch (thrown) {
    const done = isAsLocked(await notAsLocked(ctx, locked));
    if (!done && order.seq !== null) await takeBack(ctx, order.seq, holds, thrown);
    throw thrown;
  }
}

const notAsLocked = async ({ machine }: ClientContext, locked: readonly Locked[]): Promise<LockDifference> =>
  againstLock(locked, Object.values((await readReceipts(machine)).plugins));

/** @throws HaiveError what `thrown` says, with a hint that the order waits, where the hub cannot be told */
async function takeBack(ctx: ClientContext, seq: number, holds: Receipts['holds'], thrown: unknown): Promise<void> {
  try {
    await ask(ctx, 'machine', (hub) => hub.call('takeBackSet', { params: { machine: 'me' }, query: { seq } }));
  } catch {
    const { code, message } = toHaiveError(thrown);
    const hint = 'The hub could not be told: it wants the set here, and the next sync goes on with it.';
    throw new HaiveError(code, message, { cause: thrown, hint });
  }
  await holdAgain(ctx, holds);
}
