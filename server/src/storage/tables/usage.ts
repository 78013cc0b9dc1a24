/** What one session on one machine used on one day: kept for a while, so that a report that comes again counts once. */
export interface UsageCountsTable {
  machine_id: string;
  session: string;
  plugin_name: string;
  version: string;
  kind: string;
  component: string;
  /** UTC, YYYY-MM-DD. */
  day: string;
  count: number;
}

/** Sums that stay: nothing in them leads back to a machine. */
export interface UsageDaysTable {
  plugin_name: string;
  version: string;
  kind: string;
  component: string;
  /** A group, or `*` for all machines; one of several groups counts in each. */
  group_name: string;
  day: string;
  count: number;
}
