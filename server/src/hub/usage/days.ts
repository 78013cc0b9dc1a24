/** How long the hub knows which machine used what; older reports are not taken, for they could not be told from new ones. */
export const COUNTS_KEPT_DAYS = 30;
/** How long it keeps the sums of days. */
export const SUMS_KEPT_DAYS = 400;

/** The day so many days before, UTC, YYYY-MM-DD. */
export function daysBefore(now: Date, days: number): string {
  return new Date(now.getTime() - days * 24 * 3600_000).toISOString().slice(0, 10);
}
