import { explain } from '../../domain/desired/explain.ts';
import { checkPluginName } from '../../domain/names.ts';
import { listOverrides } from '../../storage/queries/overrides.ts';
import type { UseCase } from '../context.ts';
import { loadMachineFacts } from '../machines/facts.ts';
import { reachMachine } from '../machines/machines.ts';
import { loadRegistry } from '../registry/snapshot.ts';

/** Why a plugin is, or is not, on a machine. */
export const why: UseCase<'why'> = async (hub, { principal, params }) => {
  const name = params.name ?? '';
  checkPluginName(name);
  const { read } = hub.store;
  const machine = await reachMachine(read, principal, params.machine ?? '');
  const registry = await loadRegistry(hub.store);
  const facts = await loadMachineFacts(read, machine.id);
  const overrides = await listOverrides(read, machine.id);
  const rows = await read
    .selectFrom('publications')
    .innerJoin('plugins', 'plugins.id', 'publications.plugin_id')
    .select(['publications.plugin_id', 'publications.target', 'publications.by'])
    .where('plugins.name', '=', name)
    .execute();
  const told = explain(registry, facts, name, {
    publishedBy: (id, group) => rows.findLast((r) => r.plugin_id === id && r.target === group)?.by ?? '',
    overriddenBy: (of, kind) => overrides.find((o) => o.name === of && o.kind === kind)?.by ?? '',
  });
  if (machine.refused === null) return told;
  const { code, message, at } = machine.refused;
  const text = `${machine.name} follows no plan of this hub (${at}): ${code}: ${message}`;
  return { ...told, reasons: [{ kind: 'problem', text }, ...told.reasons] };
};
