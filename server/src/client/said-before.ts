import { withLock } from '../machine/lock.ts';
import { readReceipts, updateReceipts } from '../machine/receipts.ts';
import type { ClientContext } from './context.ts';
import type { HubClient } from './hub-client.ts';
import { keptRemovals, unspool } from './spool.ts';

/** What was said of a plugin on this machine before, which an order to install or update it puts out of force. */

/** Takes back the hold that a rollback left, here and at the hub; what else was said stays. @returns whether there was one */
export async function releaseHold(ctx: ClientContext, hub: HubClient, name: string): Promise<boolean> {
  if ((await readReceipts(ctx.machine)).holds[name] === undefined) return false;
  const params = { machine: 'me', name };
  const { overrides } = await hub.call('machine', { params: { machine: 'me' } });
  const mine = overrides.filter((o) => o.name === name);
  if (mine.some((o) => o.kind === 'hold')) {
    await hub.call('clearOverride', { params });
    for (const { kind, range } of mine) {
      if (kind !== 'hold') await hub.call('setOverride', { params, body: { kind, range } });
    }
  }
  await forgetHold(ctx, name);
  return true;
}

/** Takes the hold back here alone, where the hub has done so already. */
export async function forgetHold(ctx: ClientContext, name: string): Promise<void> {
  if ((await readReceipts(ctx.machine)).holds[name] === undefined) return;
  await withLock(ctx.machine, 'release hold', () =>
    updateReceipts(ctx.machine, (receipts) => {
      delete receipts.holds[name];
    }),
  );
}

/** A removal that the hub has not heard of yet would undo what is ordered now. */
export async function withdrawRemoval({ machine }: ClientContext, name: string): Promise<void> {
  const kept = await keptRemovals(machine, name);
  if (kept.length === 0) return;
  await withLock(machine, 'install', async () => {
    for (const note of kept) await unspool(machine, note);
  });
}
