import type { Plan } from './index.ts';

/** What one plan says of one history of the registry. */
type Said = Pick<Plan, 'epoch' | 'lineage' | 'plugins'>;

/**
 * The names of plugins that a rollback holds on a machine and the hub held there too, until somebody lifted that at the hub. A hub that was
 * restored from a backup may have lost the hold: that lifts none.
 * @param before the plan that was followed last
 * @param holds by name, what is held
 */
export function liftedHolds(before: Said, now: Said, holds: Readonly<Record<string, { digest: string }>>): string[] {
  const history = ({ epoch, lineage = [] }: Said): string => JSON.stringify([epoch, lineage]);
  if (history(before) !== history(now)) return [];
  return Object.entries(holds).flatMap(([name, { digest }]) => {
    const [was, is] = [before, now].map(({ plugins }) => plugins.find((entry) => entry.name === name));
    return was?.pinned === true && was.digest === digest && is?.pinned === false ? [name] : [];
  });
}
