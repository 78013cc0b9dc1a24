import { readFile } from 'node:fs/promises';
import { HaiveError } from '../domain/errors.ts';
import { againstLock, isAsLocked, type Locked, lockMismatch, lockText, parseLock } from '../domain/lockfile.ts';
import { fileError } from '../machine/file-port.ts';
import { readReceipts } from '../machine/receipts.ts';
import type { ClientContext } from './context.ts';
import { fetchPlan } from './plan.ts';
import { ask } from './registry.ts';
import { forgetHold, withdrawRemoval } from './said-before.ts';
import { type SyncProgress, type SyncResult, syncMachine } from './sync.ts';

/** This machine's set as a lockfile's text. */
export async function lockMachine(ctx: ClientContext): Promise<{ text: string; plugins: Locked[] }> {
  const text = lockText(Object.values((await readReceipts(ctx.machine)).plugins));
  return { text, plugins: parseLock(text, 'the lockfile') };
}

/**
 * Makes this machine's set exactly the locked one: what differs is asked for (or excluded) at the hub, so that it stays, then synced.
 * @throws HaiveError LOCK_INVALID, LOCK_MISMATCH (the hub has other bytes of a locked version, or the set cannot be had), VERSION_NOT_FOUND,
 * PLUGIN_NOT_FOUND, NOT_ELIGIBLE, STATUS_FORBIDS: nothing was asked for then; and those of syncMachine, or LOCK_MISMATCH with a hint that
 * says so, where the hub wants the set here and this machine did not take it.
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
  for (const name of order.installed) {
    await forgetHold(ctx, name);
    await withdrawRemoval(ctx, name);
  }
  const result = await syncMachine(ctx, { mode: 'explicit', ...(onProgress === undefined ? {} : { onProgress }) });
  const left = againstLock(locked, Object.values((await readReceipts(ctx.machine)).plugins));
  if (isAsLocked(left)) return { ...result, warnings: [...order.warnings, ...result.warnings] };
  const reasons = result.problems.map((p) => `${p.name}: ${p.message}`);
  throw lockMismatch(
    left,
    reasons,
    'The hub wants the set here now: `hv sync` goes on once what stood in its way is mended.',
  );
}
