import { checkPluginName, checkRange, checkVersion } from '../../domain/names.ts';
import type { RegistryVersion } from '../../domain/registry.ts';
import { pluginId } from '../../domain/version-record.ts';
import type { UseCase } from '../context.ts';
import { requireTargets } from '../trust/token-limits.ts';
import { requireName, requirePublisher } from './access.ts';
import { chooseTargets, offered, refuseMissingDependencies } from './publish.ts';
import { allMachineFacts, machinesHolding, machinesOfOthers, withVersion } from './reach.ts';
import { loadCatalogue } from './snapshot.ts';

/** Where a version would go that the hub has not got yet, by the same rules as when it is published; changes nothing. */
export const preview: UseCase<'preview'> = async (hub, { principal, body }) => {
  requirePublisher(principal);
  checkPluginName(body.name);
  checkVersion(body.version);
  requireName(principal, body.name);
  const { name, version, digest, dependencies } = body;
  const catalogue = await loadCatalogue(hub.store);
  const id = pluginId(name, version);
  const known = catalogue.byId.get(id);
  for (const { name: other, range } of dependencies) {
    checkPluginName(other);
    checkRange(range);
  }
  const meant: RegistryVersion = {
    id,
    name,
    version,
    digest,
    status: 'registered',
    targets: known?.targets ?? [],
    ...(known?.approvedBy === undefined ? {} : { approvedBy: known.approvedBy }),
    machineGroups: body.machine_groups,
    requiredCapabilities: body.required_capabilities,
    minHaivemindVersion: body.min_haivemind_version,
    dependencies,
  };
  refuseMissingDependencies(catalogue, meant);
  const targets = body.all ? ['*'] : chooseTargets(meant, body.target_groups);
  await requireTargets(hub.store.read, principal, targets);
  const published = offered(meant, principal, targets, true);
  const after = withVersion(catalogue, published);
  const facts = await allMachineFacts(hub.store.read);
  const instead = machinesOfOthers(after, facts, published);
  return {
    groups: published.targets.map((t) => t.group).sort(),
    machines: machinesHolding(after, facts, id),
    ...(instead.length === 0 ? {} : { instead }),
  };
};
