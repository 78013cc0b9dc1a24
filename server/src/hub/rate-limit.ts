/** Counts failures by key in a sliding window of two halves; memory is bounded by forgetting whole halves. */
export interface FailureLimit {
  /** Seconds the key must wait, 0 when it may go on. */
  waitSeconds(key: string): number;
  fail(key: string): void;
}

const WINDOW_MS = 60_000;
const MAX_KEYS = 100_000;

/** @param perMinute failures that are still answered one by one */
export function createFailureLimit(perMinute: number, now: () => number = Date.now): FailureLimit {
  let current = new Map<string, number>();
  let before = new Map<string, number>();
  let turned = now();
  const turn = (): void => {
    const age = now() - turned;
    if (age < WINDOW_MS && current.size < MAX_KEYS) return;
    before = age >= 2 * WINDOW_MS ? new Map() : current;
    current = new Map();
    turned = now();
  };
  return {
    waitSeconds(key) {
      turn();
      const share = 1 - Math.min(1, (now() - turned) / WINDOW_MS);
      const recent = (current.get(key) ?? 0) + (before.get(key) ?? 0) * share;
      return recent < perMinute ? 0 : Math.max(1, Math.ceil((WINDOW_MS - (now() - turned)) / 1000));
    },
    fail(key) {
      turn();
      current.set(key, (current.get(key) ?? 0) + 1);
    },
  };
}
