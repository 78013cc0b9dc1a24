import { machinesUsing, sumKey, sumUsage } from '../../storage/queries/usage.ts';
import type { UseCase } from '../context.ts';
import { COUNTS_KEPT_DAYS, daysBefore } from './days.ts';

/** Sums of what was used. */
export const usage: UseCase<'usage'> = async (hub, { query }) => {
  const { by, plugin, group, limit } = query;
  const now = hub.clock();
  const since = daysBefore(now, query.days - 1);
  const sums = await sumUsage(hub.store.read, { by, plugin, group, since, limit });
  const byMachine = (by === 'plugin' || by === 'version' || by === 'component') && group === undefined;
  const machines = byMachine
    ? await machinesUsing(hub.store.read, { by, plugin, since: later(since, daysBefore(now, COUNTS_KEPT_DAYS)) })
    : undefined;
  return {
    since,
    rows: sums.map((row) => ({
      plugin: row.plugin_name ?? null,
      version: row.version ?? null,
      kind: (row.kind ?? null) as 'command' | null,
      component: row.component ?? null,
      group: row.group_name ?? group ?? null,
      day: row.day ?? null,
      uses: row.uses,
      machines: machines === undefined ? null : (machines.get(sumKey(row)) ?? 0),
    })),
  };
};

const later = (a: string, b: string): string => (a > b ? a : b);
