import { collectBlobs } from '../storage/queries/blobs.ts';
import { forgetUsage } from '../storage/queries/usage.ts';
import type { HubContext } from './context.ts';
import { repeat } from './repeat.ts';
import { COUNTS_KEPT_DAYS, daysBefore, SUMS_KEPT_DAYS } from './usage/days.ts';

const EVERY_MS = 3600_000;
/** A publish in progress has sent blobs that no version names yet; none takes so long. */
const GRACE_MS = 24 * 3600_000;

/**
 * Collects blobs that no version names and forgets what was used long ago, now and then.
 * @returns what ends it
 */
export function startSweep(hub: HubContext): () => Promise<void> {
  const sweep = async (): Promise<void> => {
    const collected = await collectBlobs(hub.store, new Date(hub.clock().getTime() - GRACE_MS));
    await sweepUsage(hub);
    if (collected > 0) hub.log.info({ collected }, 'collected blobs that no version names');
  };
  return repeat(EVERY_MS, sweep, (error) => hub.log.warn({ error }, 'the sweep failed'));
}

/** Forgets which machine used what after a while, and the sums after a longer one. */
export async function sweepUsage(hub: HubContext): Promise<void> {
  const now = hub.clock();
  const before = { counts: daysBefore(now, COUNTS_KEPT_DAYS), days: daysBefore(now, SUMS_KEPT_DAYS) };
  await hub.store.transact((tx) => forgetUsage(tx, before));
}
