/** How long to wait before a lost connection is opened again, in milliseconds. */
export interface Backoff {
  backoffMin: number;
  backoffMax: number;
}

export const BACKOFF: Backoff = { backoffMin: 1_000, backoffMax: 60_000 };

/**
 * Doubles with every failure, and is spread by chance so that a fleet whose hub restarted does not come back in one moment.
 * @param failures connections lost or refused in a row, 1 for the first
 * @param spreadMs how far the hub spreads its machines; the first wait is spread as far
 * @param chance in [0, 1)
 */
export function reconnectDelay(failures: number, spreadMs: number, chance: number, pace: Backoff = BACKOFF): number {
  const most = Math.min(pace.backoffMax, pace.backoffMin * 2 ** Math.min(failures, 10));
  const least = most / 2;
  return least + Math.max(most - least, Math.min(spreadMs, pace.backoffMax)) * chance;
}
