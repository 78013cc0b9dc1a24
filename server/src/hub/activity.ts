import { updateMachineFacts } from '../storage/machine-queries.ts';
import type { Store } from '../storage/store.ts';
import { touchToken } from '../storage/token-queries.ts';
import type { Log, Principal } from './context.ts';

/** Notes who was here, and writes it down in batches: a poll must not cost a write. */
export interface Activity {
  seen(principal: Principal): void;
  /** Writes what gathered since the last time. */
  flush(): Promise<void>;
  /** Flushes a last time and ends the timer. */
  close(): Promise<void>;
}

/** How long last_seen and last_used_at may lag behind, in milliseconds. */
export const FLUSH_MS = 30_000;

/** @param connected machines with an open socket here count as seen at every flush */
export function createActivity(store: Store, log: Log, clock: () => Date, connected: () => Iterable<string>): Activity {
  let tokens = new Map<string, string>();
  let machines = new Map<string, string>();
  let running: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    const at = clock().toISOString();
    for (const id of connected()) machines.set(id, at);
    const [usedTokens, seenMachines] = [tokens, machines];
    tokens = new Map();
    machines = new Map();
    if (usedTokens.size + seenMachines.size === 0) return;
    try {
      await store.transact(async (tx) => {
        // In one order, so that two hubs writing the same rows do not wait for each other crosswise.
        for (const [id, used] of [...usedTokens].sort()) await touchToken(tx, id, used);
        for (const [id, lastSeen] of [...seenMachines].sort()) await updateMachineFacts(tx, id, { lastSeen });
      });
    } catch (error) {
      log.warn({ error }, 'last_seen could not be written');
    }
  }

  const flush = (): Promise<void> => {
    running = running.then(write);
    return running;
  };
  const timer = setInterval(() => void flush(), FLUSH_MS);
  timer.unref();
  return {
    seen(principal) {
      const at = clock().toISOString();
      tokens.set(principal.tokenId, at);
      if (principal.machineId !== null) machines.set(principal.machineId, at);
    },
    flush,
    async close() {
      clearInterval(timer);
      await flush();
    },
  };
}
