import { groupReaches } from '../../domain/desired/desired-state.ts';
import { isOperator } from '../auth.ts';
import type { HubContext, Principal } from '../context.ts';
import { loadMachineFacts } from '../machines/facts.ts';
import { maySee } from './access.ts';
import { desiredStates } from './reach.ts';
import { type CatalogueVersion, loadCatalogue } from './snapshot.ts';

/**
 * Which versions' bytes a caller may read. Operators all; publishers, contributors and readers whatever they see in lists; a
 * machine what is offered to its groups, what it should have and what it has (of what is only registered: if an operator ordered it). Deleted and revoked bytes nobody.
 * @throws HaiveError MACHINE_NOT_FOUND
 */
export async function visibility(
  hub: HubContext,
  principal: Principal,
): Promise<(version: CatalogueVersion) => boolean> {
  const gone = (v: CatalogueVersion) => v.status === 'deleted' || v.status === 'revoked';
  const { machineId } = principal;
  if (isOperator(principal) || machineId === null) return (v) => !gone(v) && maySee(principal, v);
  const facts = await loadMachineFacts(hub.store.read, machineId);
  const catalogue = await loadCatalogue(hub.store);
  let desired: Set<string> | undefined;
  return (version) => {
    if (gone(version)) return false;
    if (version.targets.some((t) => groupReaches(t.group, facts.groups))) return true;
    if (facts.installed.some((p) => p.name === version.name && p.version === version.version)) return true;
    desired ??= new Set(desiredStates(catalogue)(facts).plugins.map((p) => p.id));
    return desired.has(version.id);
  };
}
