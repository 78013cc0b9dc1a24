import { addUsage, lockMachine } from '../../storage/queries/usage.ts';
import type { UseCase } from '../context.ts';
import { reachMachine } from '../machines/machines.ts';
import { loadCatalogue } from '../registry/snapshot.ts';
import { COUNTS_KEPT_DAYS, daysBefore } from './days.ts';

/** Takes down what was used on a machine. It is no change of the registry: nobody hears of it. */
export const reportUsage: UseCase<'reportUsage'> = async (hub, { principal, params, body }) => {
  const machine = await reachMachine(hub.store.read, principal, params.machine ?? '');
  const catalogue = await loadCatalogue(hub.store);
  const now = hub.clock();
  const oldest = daysBefore(now, COUNTS_KEPT_DAYS);
  // A clock may be ahead by a time zone, not by more.
  const newest = daysBefore(now, -1);
  const taken = body.counts.filter((c) => catalogue.plugins.has(c.plugin) && c.day > oldest && c.day <= newest);
  const rows = taken.map(({ plugin, ...rest }) => ({ plugin_name: plugin, ...rest }));
  const added = await hub.store.transact(async (tx) => {
    await lockMachine(tx, machine.id);
    return addUsage(tx, machine.id, machine.groups, rows);
  });
  return { added, ignored: body.counts.length - taken.length };
};
