import { desiredState } from '../../domain/desired-state.ts';
import { HaiveError } from '../../domain/errors.ts';
import { parsePluginRef } from '../../domain/names.ts';
import type { MachineFacts, Registry } from '../../domain/registry.ts';
import { clearOverrides, setOverrides } from '../../storage/override-queries.ts';
import { isOperator } from '../auth.ts';
import { change } from '../change.ts';
import type { UseCase } from '../context.ts';
import { versionsOf } from './choose-version.ts';
import { loadCatalogue } from './snapshot.ts';
import { chooseMachines } from './targets.ts';

/**
 * Takes a plugin out of the desired state of machines. Where its groups would bring it back, an exclusion stays until the
 * override is cleared or the plugin is installed again.
 */
export const uninstall: UseCase<'uninstall'> = async (hub, call) => {
  const { principal, body } = call;
  const { name } = parsePluginRef(call.params.id ?? '');
  const catalogue = await loadCatalogue(hub.store);
  const { machines, named } = await chooseMachines(hub, principal, body.target_machines);
  const concerned = machines
    .map((machine) => ({ machine, ...without(catalogue, machine, name) }))
    .filter(({ holds, machine }) => named || holds || machine.installed.some((p) => p.name === name));
  if (!catalogue.plugins.has(name) && concerned.every(({ machine }) => !knows(machine, name))) {
    versionsOf(catalogue, name, (version) => version.status === 'published');
  }
  for (const { machine, neededBy } of concerned) {
    if (neededBy.length === 0) continue;
    throw new HaiveError('DEPENDENT_INSTALLED', `On ${machine.name} ${neededBy.join(', ')} needs ${name}`, {
      details: { machine: machine.name, needed_by: neededBy },
    });
  }
  const { seq } = await change(hub, principal, async ({ tx, at }) => {
    const ids = concerned.map(({ machine }) => machine.id);
    await clearOverrides(tx, ids, name);
    const excluded = concerned.filter((c) => c.comesBack).map(({ machine }) => machine.id);
    const row = { name, kind: 'exclude' as const, range: '*', forceNonce: null };
    await setOverrides(tx, excluded, { ...row, byOperator: isOperator(principal), by: principal.name, at });
    const data = { name, machine_ids: ids };
    return { result: undefined, trace: { type: 'uninstall.requested', target: name, data } };
  });
  return { name, machines: concerned.map(({ machine }) => machine.name).sort(), seq };
};

const knows = (machine: MachineFacts, name: string): boolean =>
  machine.installed.some((p) => p.name === name) || machine.overrides.some((o) => o.name === name);

/** What a machine's desired state says of a plugin, now and with its overrides gone. */
function without(
  registry: Registry,
  machine: MachineFacts,
  name: string,
): { holds: boolean; comesBack: boolean; neededBy: string[] } {
  const now = desiredState(registry, machine).plugins.find((p) => p.name === name);
  const bare = { ...machine, overrides: machine.overrides.filter((o) => o.name !== name) };
  const then = desiredState(registry, bare).plugins.find((p) => p.name === name);
  return { holds: now !== undefined, comesBack: then !== undefined, neededBy: now?.requiredBy ?? [] };
}
