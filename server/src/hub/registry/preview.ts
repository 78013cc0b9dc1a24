import type { RegistryVersion } from '../../domain/desired/registry.ts';
import { checkPluginName, checkRange, checkVersion } from '../../domain/names.ts';
import { pluginId } from '../../domain/version/record.ts';
import type { UseCase } from '../context.ts';
import { waitsFor } from '../trust/approvals.ts';
import { requireTargets } from '../trust/token-limits.ts';
import { refuseLookalike, requireName, requirePublisher } from './access.ts';
import { chooseTargets, offered, refuseDeprecated, refuseMissingDependencies, refuseStatus } from './publish.ts';
import { allMachineFacts, machinesHolding, machinesOfOthers, withVersion } from './reach.ts';
import { loadCatalogue } from './snapshot.ts';
import { refuseOther } from './store-version.ts';

/**
 * Where a version would go that the hub has not got yet, by the same rules as when it is registered and published; changes nothing.
 * What hangs on its bytes is left open: `may_be_held`.
 */
export const preview: UseCase<'preview'> = async (hub, { principal, body }) => {
  requirePublisher(principal);
  checkPluginName(body.name);
  checkVersion(body.version);
  requireName(principal, body.name);
  if (body.min_haivemind_version !== null) checkVersion(body.min_haivemind_version);
  const { name, version, digest, dependencies } = body;
  const catalogue = await loadCatalogue(hub.store);
  const id = pluginId(name, version);
  await refuseOther(hub.store.read, id, body, principal);
  refuseLookalike(catalogue, principal, name);
  const known = catalogue.byId.get(id);
  if (known !== undefined) refuseStatus(known);
  for (const { name: other, range } of dependencies) {
    checkPluginName(other);
    checkRange(range);
  }
  const meant: RegistryVersion = {
    id,
    name,
    version,
    digest,
    status: known?.status ?? 'registered',
    targets: known?.targets ?? [],
    ...(known?.approvedBy === undefined ? {} : { approvedBy: known.approvedBy }),
    machineGroups: body.machine_groups,
    requiredCapabilities: body.required_capabilities,
    minHaivemindVersion: body.min_haivemind_version,
    dependencies,
  };
  refuseMissingDependencies(catalogue, meant);
  const targets = body.all ? ['*'] : chooseTargets(meant, body.target_groups);
  await requireTargets(hub.store.read, principal, meant, targets);
  refuseDeprecated(meant, targets);
  // A plugin's very first version widens nothing.
  const hasOther = (catalogue.plugins.get(name) ?? []).some((v) => v.id !== id && v.status !== 'registered');
  const waits = await waitsFor(hub, meant, principal, targets);
  if (waits !== null && waits !== 'bytes')
    return { groups: targets, machines: [], held: { ...waits, added: {}, code: [] } };
  const published = offered(meant, principal, targets, true);
  const after = withVersion(catalogue, published);
  const facts = await allMachineFacts(hub.store.read);
  const instead = machinesOfOthers(after, facts, published);
  return {
    groups: published.targets.map((t) => t.group).sort(),
    machines: machinesHolding(after, facts, id),
    ...(instead.length === 0 ? {} : { instead }),
    ...(waits === 'bytes' && hasOther ? { may_be_held: true } : {}),
  };
};
