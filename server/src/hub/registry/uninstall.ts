import type { MachineFacts } from '../../domain/desired/registry.ts';
import { HaiveError } from '../../domain/errors.ts';
import { parsePluginRef } from '../../domain/names.ts';
import { requireNamed } from '../../domain/version/named-version.ts';
import { clearOverrides, setOverrides, WISHES } from '../../storage/queries/overrides.ts';
import { isOperator } from '../auth.ts';
import { change } from '../change.ts';
import type { UseCase } from '../context.ts';
import { requireFollower } from '../trust/followed.ts';
import { versionsOf } from './choose-version.ts';
import { leaving } from './leaving.ts';
import { loadCatalogue } from './snapshot.ts';
import { chooseMachines } from './targets.ts';

/**
 * Takes a plugin out of the desired state of machines. Where its groups would bring it back, an exclusion stays until the
 * override is cleared or the plugin is installed again. What needs it and is needed by it goes along.
 */
export const uninstall: UseCase<'uninstall'> = async (hub, call) => {
  const { principal, body } = call;
  const asked = parsePluginRef(call.params.id ?? '');
  const { name } = asked;
  const catalogue = await loadCatalogue(hub.store);
  const { machines, named } = await chooseMachines(hub, principal, body.target_machines);
  const concerned = machines
    .map((machine) => ({ machine, ...leaving(catalogue, machine, name) }))
    .filter(({ holds, machine }) => named || holds || machine.installed.some((p) => p.name === name));
  if (!catalogue.plugins.has(name) && concerned.every(({ machine }) => !knows(machine, name))) {
    versionsOf(catalogue, name, (version) => version.status === 'published');
  }
  for (const { machine, neededBy } of concerned) {
    requireNamed(asked, machine.installed.find((p) => p.name === name)?.version, `on ${machine.name}`);
    if (neededBy.length === 0) continue;
    throw new HaiveError('DEPENDENT_INSTALLED', `On ${machine.name} ${neededBy.join(', ')} needs ${name}`, {
      details: { machine: machine.name, needed_by: neededBy },
    });
  }
  await requireFollower(hub, body.followed);
  const byOperator = isOperator(principal);
  // What an operator said of its versions stays under a machine's removal, and would bring it back by itself.
  const comesBack = (c: (typeof concerned)[number]): boolean => {
    const said = c.machine.overrides.filter((o) => !byOperator && o.byOperator && o.name === name);
    if (said.some((o) => o.kind === 'exclude')) return false;
    return c.comesBack || said.some((o) => o.kind !== 'install');
  };
  const along = [...new Set(concerned.flatMap((c) => c.along))].sort();
  const { seq } = await change(hub, principal, async ({ tx, at }) => {
    const ids = concerned.map(({ machine }) => machine.id);
    if (byOperator) await clearOverrides(tx, ids, name);
    else {
      await clearOverrides(tx, ids, name, { own: true });
      await clearOverrides(tx, ids, name, { kinds: ['install'] });
    }
    for (const { machine, wishes } of concerned) {
      for (const wish of wishes) await clearOverrides(tx, [machine.id], wish, { kinds: WISHES });
    }
    const excluded = concerned.filter(comesBack).map(({ machine }) => machine.id);
    const row = { name, kind: 'exclude' as const, range: '*', forceNonce: null };
    await setOverrides(tx, excluded, { ...row, byOperator, by: principal.name, at });
    const data = { name, along, machine_ids: ids };
    return { result: undefined, trace: { type: 'uninstall.requested', target: name, data } };
  });
  return { name, machines: concerned.map(({ machine }) => machine.name).sort(), along, seq };
};

const knows = (machine: MachineFacts, name: string): boolean =>
  machine.installed.some((p) => p.name === name) || machine.overrides.some((o) => o.name === name);
