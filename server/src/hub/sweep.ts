import { collectBlobs } from '../storage/blob-queries.ts';
import type { HubContext } from './context.ts';
import { repeat } from './repeat.ts';

const EVERY_MS = 3600_000;
/** A publish in progress has sent blobs that no version names yet; none takes so long. */
const GRACE_MS = 24 * 3600_000;

/**
 * Collects blobs that no version names, now and then.
 * @returns what ends it
 */
export function startSweep(hub: HubContext): () => Promise<void> {
  const sweep = async (): Promise<void> => {
    const collected = await collectBlobs(hub.store, new Date(hub.clock().getTime() - GRACE_MS));
    if (collected > 0) hub.log.info({ collected }, 'collected blobs that no version names');
  };
  return repeat(EVERY_MS, sweep, (error) => hub.log.warn({ error }, 'blobs could not be collected'));
}
