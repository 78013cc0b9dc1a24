import { limited } from './http/rate-limit.ts';

/** How much of a costly work may run at once. */
export interface TurnLimits {
  /** For one key. */
  perKey: number;
  overall: number;
  /** Who has waited so long for a turn is sent away. */
  waitMs: number;
}

export interface Turns {
  /**
   * Runs the work when there is room for it, in the order of arrival.
   * @throws HaiveError RATE_LIMITED after waitMs, or at once when too many wait already
   */
  run<T>(key: string, work: () => Promise<T>): Promise<T>;
}

interface Waiting {
  key: string;
  start(): void;
}

/** For each that runs so many may wait. */
const WAIT_FACTOR = 8;

export function createTurns({ perKey, overall, waitMs }: TurnLimits): Turns {
  const running = new Map<string, number>();
  let all = 0;
  const waiting = new Set<Waiting>();
  const ofKey = (key: string): number => running.get(key) ?? 0;
  const isFree = (key: string): boolean => all < overall && ofKey(key) < perKey;
  const busy = () => limited('Too many registrations at once', waitMs / 1000);

  const take = (key: string): void => {
    all += 1;
    running.set(key, ofKey(key) + 1);
  };
  const give = (key: string): void => {
    all -= 1;
    if (ofKey(key) === 1) running.delete(key);
    else running.set(key, ofKey(key) - 1);
    for (const next of waiting) {
      if (all >= overall) return;
      if (isFree(next.key)) next.start();
    }
  };
  const turn = (key: string): Promise<void> => {
    if (isFree(key)) {
      take(key);
      return Promise.resolve();
    }
    const same = [...waiting].filter((w) => w.key === key).length;
    if (waiting.size >= overall * WAIT_FACTOR || same >= perKey * WAIT_FACTOR) return Promise.reject(busy());
    return new Promise((resolve, reject) => {
      const entry: Waiting = {
        key,
        start() {
          clearTimeout(timer);
          waiting.delete(entry);
          take(key);
          resolve();
        },
      };
      const timer = setTimeout(() => {
        waiting.delete(entry);
        reject(busy());
      }, waitMs);
      waiting.add(entry);
    });
  };
  return {
    async run(key, work) {
      await turn(key);
      try {
        return await work();
      } finally {
        give(key);
      }
    },
  };
}
