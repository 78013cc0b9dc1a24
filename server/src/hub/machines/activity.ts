import { markSeen } from '../../storage/queries/machines.ts';
import { touchTokens } from '../../storage/queries/tokens.ts';
import type { Store } from '../../storage/store.ts';
import type { Log, Principal } from '../context.ts';

/** Notes who was here, and writes it down in batches: a poll must not cost a write. */
export interface Activity {
  seen(principal: Principal): void;
  /** Writes what gathered since the last time. */
  flush(): Promise<void>;
  /** Flushes a last time and ends the timer. */
  close(): Promise<void>;
}

/** How long last_seen and last_used_at may lag behind, in milliseconds. */
const FLUSH_MS = 30_000;

/** @param connected machines with an open socket here count as seen at every flush */
export function createActivity(store: Store, log: Log, clock: () => Date, connected: () => Iterable<string>): Activity {
  // Milliseconds, not text: this is noted at every call.
  let tokens = new Map<string, number>();
  let machines = new Map<string, number>();
  let running: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    const now = clock().getTime();
    for (const id of connected()) machines.set(id, now);
    const [usedTokens, seenMachines] = [tokens, machines];
    tokens = new Map();
    machines = new Map();
    if (usedTokens.size + seenMachines.size === 0) return;
    try {
      // One statement a transaction, so that two hubs writing the same rows do not wait for each other crosswise.
      for (const [at, ids] of bySecond(usedTokens)) await store.transact((tx) => touchTokens(tx, ids, at));
      for (const [at, ids] of bySecond(seenMachines)) await store.transact((tx) => markSeen(tx, ids, at));
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
      const at = clock().getTime();
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

/** Ids in order, by the last moment in which one of them was seen in that second: ten thousand rows are a few statements. */
function bySecond(seen: ReadonlyMap<string, number>): [string, string[]][] {
  const seconds = new Map<number, { last: number; ids: string[] }>();
  for (const [id, at] of [...seen].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const second = Math.floor(at / 1000);
    const known = seconds.get(second) ?? { last: at, ids: [] };
    known.last = Math.max(known.last, at);
    known.ids.push(id);
    seconds.set(second, known);
  }
  return [...seconds].sort(([a], [b]) => a - b).map(([, { last, ids }]) => [new Date(last).toISOString(), ids]);
}
