/**
 * A history of a registry, begun when a backup was restored: its id, and the `seq` up to which it is the same as the history before
 * it. A registry names all that it went through, oldest first; none where it was never restored.
 */
export type Lineage = [id: string, since: number];

/** A point in a hub's history: that of a plan, or of the last plan that a machine followed. */
export interface Place {
  epoch: number;
  counter: number;
  /** Absent in a plan: never restored. Absent in what a machine has seen: it was seen by a version that knew none. */
  lineage?: Lineage[] | undefined;
}

/** The `seq` up to which registries of these lineages have the same history; Infinity where it is one. */
export function sharedUpTo(a: readonly Lineage[], b: readonly Lineage[]): number {
  const parted = a.findIndex(([id], i) => id !== b[i]?.[0]);
  const at = parted === -1 ? a.length : parted;
  return Math.min(...[a[at], b[at]].map((lineage) => lineage?.[1] ?? Number.POSITIVE_INFINITY));
}

/**
 * Why a machine does not follow a plan: it is older than what was seen, or of a history in which that never was. Where nothing was seen
 * of the other history but what both have, as after a hub was moved by a backup, there is no reason.
 * @returns half a sentence; null where it is followed
 */
export function whyNotFollowed(plan: Place, seen: Place | undefined): string | null {
  if (seen === undefined || plan.epoch > seen.epoch) return null;
  const which = `plan ${plan.epoch}.${plan.counter}`;
  const last = `${seen.epoch}.${seen.counter}`;
  if (plan.epoch < seen.epoch || plan.counter < seen.counter)
    return `${which} is older than ${last}, which this machine has seen`;
  const shared = seen.lineage === undefined ? Number.POSITIVE_INFINITY : sharedUpTo(plan.lineage ?? [], seen.lineage);
  if (seen.counter <= shared) return null;
  return `${which} is of another history, which parted at ${shared} from that of ${last}, which this machine has seen`;
}
