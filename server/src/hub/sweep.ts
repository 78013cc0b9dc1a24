import { collectBlobs } from '../storage/blob-queries.ts';
import type { HubContext } from './context.ts';

const EVERY_MS = 3600_000;
/** A publish in progress has sent blobs that no version names yet; none takes so long. */
const GRACE_MS = 24 * 3600_000;

/**
 * Collects blobs that no version names, now and then.
 * @returns what ends it
 */
export function startSweep(hub: HubContext): () => Promise<void> {
  let running: Promise<void> = Promise.resolve();
  const sweep = async (): Promise<void> => {
    try {
      const collected = await collectBlobs(hub.store, new Date(hub.clock().getTime() - GRACE_MS));
      if (collected > 0) hub.log.info({ collected }, 'collected blobs that no version names');
    } catch (error) {
      hub.log.warn({ error }, 'blobs could not be collected');
    }
  };
  const timer = setInterval(() => {
    running = running.then(sweep);
  }, EVERY_MS);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await running;
  };
}
