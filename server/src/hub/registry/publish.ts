import type { Reply } from '../../contract/endpoints.ts';
import { groupReaches } from '../../domain/desired/desired-state.ts';
import type { RegistryVersion } from '../../domain/desired/registry.ts';
import { HaiveError } from '../../domain/errors.ts';
import { checkGroupPattern, EVERYBODY, nameMatches } from '../../domain/names.ts';
import { addPublications, setPluginStatus } from '../../storage/queries/plugins.ts';
import { putVote } from '../../storage/queries/trust.ts';
import { isOperator } from '../auth.ts';
import { change } from '../change.ts';
import type { Principal, UseCase } from '../context.ts';
import { requireAcceptance } from '../trust/acceptance.ts';
import { hold, mustWait } from '../trust/approvals.ts';
import { changedKey } from '../trust/changed-key.ts';
import { withheldFrom } from '../trust/quorums.ts';
import { revokedContent } from '../trust/revoked-content.ts';
import { requireTargets } from '../trust/token-limits.ts';
import { requireName, requirePublisher } from './access.ts';
import { findToPublish } from './choose-version.ts';
import { allMachineFacts, machinesHolding, machinesOfOthers, withVersion } from './reach.ts';
import { type Catalogue, type CatalogueVersion, loadCatalogue } from './snapshot.ts';

/** Offers a registered version to groups, beside those it was offered to before. */
export const publish: UseCase<'publish'> = async (hub, call) => {
  const { principal, body } = call;
  requirePublisher(principal);
  const catalogue = await loadCatalogue(hub.store);
  const version = findToPublish(catalogue, body.plugin_id, principal);
  requireName(principal, version.name);
  refuseStatus(version);
  refuseMissingDependencies(catalogue, version);
  const targets = body.all ? ['*'] : chooseTargets(version, body.target_groups);
  const { notify_agents: notify } = body;
  await requireTargets(hub.store.read, principal, version, targets);
  refuseDeprecated(version, targets);
  const consent = { accepted: body.accept_surface, dryRun: body.dry_run };
  await requireAcceptance(hub, catalogue, version, principal, consent);
  const revoked = await revokedContent(hub, catalogue, version);
  const told = revoked === null ? {} : { revoked_content: revoked };
  const held = await mustWait(hub, catalogue, version, principal, targets);
  if (held !== null) {
    const { id, name, digest, status } = version;
    const kept = body.dry_run
      ? { seq: catalogue.seq, groups: targets }
      : await hold(hub, principal, version, { targets, notify }, held);
    return { id, name, version: version.version, digest, status, ...kept, machines: [], held, ...told };
  }

  if (!body.dry_run && !isPublished(version, targets, notify)) {
    await change(hub, principal, async ({ tx, at }) => {
      const now = await tx
        .selectFrom('plugins')
        .select('status')
        .where('id', '=', version.id)
        .executeTakeFirstOrThrow();
      const current = { ...version, status: now.status as CatalogueVersion['status'] };
      if (now.status !== version.status) refuseStatus(current);
      refuseDeprecated(current, targets);
      // An operator who publishes has looked: one of those who approve.
      if (isOperator(principal)) {
        const word = { digest: version.digest, plugin_id: version.id, by: principal.name, at, envelope: null };
        await putVote(tx, word);
      }
      await setPluginStatus(tx, version.id, 'published', '', at);
      await addPublications(tx, version.id, targets, notify, principal.name, at);
      const { id, name, digest } = version;
      const data = { id, name, version: version.version, digest, groups: targets, notify };
      return { result: undefined, trace: { type: 'plugin.published', target: id, data } };
    });
  }
  const published = offered(version, principal, targets, notify);
  const after = body.dry_run ? withVersion(catalogue, published) : await loadCatalogue(hub.store);
  const facts = await allMachineFacts(hub.store.read);
  const machines = machinesHolding(after, facts, version.id);
  const instead = machinesOfOthers(after, facts, published);
  const { id, name, digest, status } = body.dry_run ? version : published;
  const groups = published.targets.map((t) => t.group).sort();
  const now = after.plugins.get(name)?.find((v) => v.id === id) ?? published;
  const withheld = withheldFrom(after, now, groups);
  const changed = await changedKey(hub, version);
  const reply: Reply<'publish'> = {
    id,
    name,
    version: version.version,
    digest,
    status,
    groups,
    machines,
    ...(instead.length === 0 ? {} : { instead }),
    seq: after.seq,
    ...(withheld === null ? {} : { withheld }),
    ...(changed === null ? {} : { changed_key: changed }),
    ...told,
  };
  return reply;
};

/** The version as it is once this caller has published it to these groups, too. */
export function offered<V extends Pick<RegistryVersion, 'targets' | 'approvedBy'>>(
  version: V,
  principal: Principal,
  groups: readonly string[],
  notify: boolean,
) {
  const kept = version.targets.filter((t) => !groups.includes(t.group));
  const targets = [...kept, ...groups.map((group) => ({ group, notify }))];
  // An operator who publishes has looked: one of those who approve.
  const own = isOperator(principal) ? [principal.name] : [];
  const approvedBy = [...new Set([...(version.approvedBy ?? []), ...own])];
  return { ...version, status: 'published' as const, targets, approvedBy };
}

/** @throws HaiveError STATUS_FORBIDS for what cannot be offered */
export function refuseStatus(version: Pick<CatalogueVersion, 'name' | 'version' | 'status'>): void {
  if (version.status === 'registered' || version.status === 'published' || version.status === 'deprecated') return;
  throw new HaiveError('STATUS_FORBIDS', `${version.name}@${version.version} is ${version.status}`, {
    hint:
      version.status === 'yanked'
        ? `Lift that first: \`hv yank ${version.name}@${version.version} --undo\`.`
        : 'Register a new version.',
  });
}

/**
 * Whoever publishes again what is offered there already, as a job does, lifts no deprecation.
 * @throws HaiveError STATUS_FORBIDS
 */
export function refuseDeprecated(
  { name, version, status, targets }: Pick<CatalogueVersion, 'name' | 'version' | 'status' | 'targets'>,
  groups: readonly string[],
): void {
  if (status !== 'deprecated') return;
  if (!groups.every((group) => targets.some((t) => groupReaches(t.group, [group])))) return;
  const ref = `${name}@${version}`;
  throw new HaiveError('STATUS_FORBIDS', `${ref} is deprecated, and offered there already`, {
    hint: `To offer it to new machines again: \`hv deprecate ${ref} --undo\`.`,
  });
}

/** True when publishing would change nothing, as when an answer was lost and the call is made again. */
function isPublished(version: CatalogueVersion, targets: readonly string[], notify: boolean): boolean {
  return (
    version.status === 'published' &&
    targets.every((group) => version.targets.some((t) => t.group === group && t.notify === notify))
  );
}

/** The groups meant: those asked for, else the manifest's. @throws HaiveError TARGET_REQUIRED, GROUP_NOT_ALLOWED, and that of a bad name */
export function chooseTargets(
  version: Pick<CatalogueVersion, 'name' | 'version' | 'machineGroups'>,
  asked: readonly string[] | undefined,
): string[] {
  const what = `${version.name}@${version.version}`;
  if (asked === undefined || asked.length === 0) {
    if (version.machineGroups.length > 0) return [...version.machineGroups];
    throw new HaiveError('TARGET_REQUIRED', `${what} names no machine_groups, and no target group was given`);
  }
  for (const group of asked) {
    if (group === '*' || group === EVERYBODY) {
      const said = `Publishing to every machine is said apart (\`all: true\`, --all), not with the group ${group}`;
      throw new HaiveError('TARGET_REQUIRED', said);
    }
    checkGroupPattern(group);
    if (version.machineGroups.length > 0 && !version.machineGroups.some((allowed) => nameMatches(allowed, group))) {
      throw new HaiveError(
        'GROUP_NOT_ALLOWED',
        `${what} may go to ${version.machineGroups.join(', ')}, not to ${group}`,
        {
          details: { group, allowed: version.machineGroups },
        },
      );
    }
  }
  return [...new Set(asked)];
}

/** @throws HaiveError DEPENDENCY_MISSING where the registry has no version at all of something required */
export function refuseMissingDependencies(
  catalogue: Catalogue,
  version: Pick<CatalogueVersion, 'name' | 'version' | 'dependencies'>,
): void {
  for (const dependency of version.dependencies) {
    if (dependency.kind !== 'required') continue;
    const there = (catalogue.plugins.get(dependency.name) ?? []).some(
      (v) => v.status !== 'deleted' && v.status !== 'revoked' && v.status !== 'yanked',
    );
    if (there) continue;
    throw new HaiveError(
      'DEPENDENCY_MISSING',
      `${version.name}@${version.version} needs ${dependency.name}@${dependency.range}, and the registry has no version of it`,
      { details: { wants: dependency.name, range: dependency.range } },
    );
  }
}
