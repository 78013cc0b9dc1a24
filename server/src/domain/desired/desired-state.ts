import semver from 'semver';
import { CORE, nameMatches } from '../names.ts';
import type { Origin, PlanEntry, PlanProblem } from '../plan/index.ts';
import { circleOf, type Needs } from './dependents.ts';
import type { MachineFacts, MachineOverride, Quorum, Registry, RegistryVersion } from './registry.ts';
import { type Candidate, isPrerelease, type Resolution } from './resolve.ts';
import { resolveDropping } from './resolve-dropping.ts';

/**
 * What one machine should have, as a function of the registry, its groups and capabilities, and its overrides.
 * Wanted plugins are those published to its groups and those it was told to install, minus the excluded, closed over
 * required dependencies. A plugin that fits with nothing else is left out with a problem; what is installed already is
 * the last to be left out. What is published and can only be had together with an excluded plugin, because each needs the
 * other, is left out with it.
 */
export interface DesiredState {
  /** Dependencies before dependents. */
  plugins: PlanEntry[];
  problems: PlanProblem[];
}

interface Wanted {
  name: string;
  origin: Origin;
  candidates: RegistryVersion[];
}

/** Versions that are installed, by name. */
type Here = ReadonlyMap<string, string>;

/** Computes a machine's desired state; never throws for any registry. */
export function desiredState(registry: Registry, machine: MachineFacts): DesiredState {
  const problems: PlanProblem[] = [];
  const wanted = new Map<string, Wanted>();
  const here: Here = new Map(machine.installed.map((p) => [p.name, p.version]));
  for (const name of [...registry.plugins.keys()].sort()) {
    const found = wantedVersions(registry, machine, here, name, problems);
    if (found !== null) wanted.set(name, found);
  }
  for (const override of machine.overrides) {
    if (override.kind !== 'exclude' && !registry.plugins.has(override.name)) {
      problems.push({
        name: override.name,
        code: 'PLUGIN_NOT_FOUND',
        message: `${override.name} is not in the registry`,
      });
    }
  }
  const candidates = (name: string): readonly Candidate[] =>
    wanted.get(name)?.candidates ?? dependencyVersions(registry, machine, here, name);
  const resolution = resolveDropping(wanted, candidates, machine, problems, goesAlong(registry, machine, here));
  return { plugins: toEntries(resolution, registry, wanted, machine), problems };
}

/** Tells whether a plugin goes along with an excluded one: by what is installed, else by the newest that may come. */
function goesAlong(registry: Registry, machine: MachineFacts, here: Here): (name: string) => boolean {
  const excluded = machine.overrides.flatMap((o) => (o.kind === 'exclude' ? [o.name] : []));
  if (excluded.length === 0) return () => false;
  const all = { ...machine, overrides: [] };
  const needsOf = (other: string, versions: readonly RegistryVersion[]): RegistryVersion['dependencies'] => {
    const found =
      versions.find((v) => v.version === here.get(other)) ?? dependencyVersions(registry, all, here, other)[0];
    return found?.dependencies ?? [];
  };
  let together: Set<string> | undefined;
  return (name) => {
    if (together === undefined) {
      // Looked through once, and only where something has to be left out.
      const needs: Needs = new Map([...registry.plugins].map(([other, versions]) => [other, needsOf(other, versions)]));
      together = new Set(excluded.flatMap((other) => circleOf(other, needs)));
    }
    return together.has(name);
  };
}

type Overrides = Partial<Record<MachineOverride['kind'], MachineOverride>>;

const NONE: Overrides = {};

function overridesFor({ overrides }: MachineFacts, name: string): Overrides {
  const own = overrides.filter((o) => o.name === name);
  return own.length === 0 ? NONE : Object.fromEntries(own.map((o) => [o.kind, o]));
}

/** The versions of a plugin that this machine wants by itself, highest first; null when it does not want it. */
function wantedVersions(
  registry: Registry,
  machine: MachineFacts,
  installed: Here,
  name: string,
  problems: PlanProblem[],
): Wanted | null {
  const versions = registry.plugins.get(name) ?? [];
  const { install, pin, hold, exclude } = overridesFor(machine, name);
  if (exclude !== undefined) return null;
  const explicit = install ?? pin ?? hold;
  const here = installed.get(name);
  const chooser = hold ?? pin ?? install;
  const range = chooser?.range ?? '*';
  const reasons: string[] = [];
  const fitting = versions.filter((version) => {
    const targeted = version.targets.some((t) => groupReaches(t.group, machine.groups));
    if (!targeted && explicit === undefined) return false;
    if (!statusAllows(version, here, explicit !== undefined, chooser?.byOperator === true, range)) return false;
    const why = ineligible(version, machine) ?? unapproved(registry, version, machine);
    if (why === null) return true;
    if (
      explicit !== undefined ||
      version.targets.some((t) => t.group !== '*' && groupReaches(t.group, machine.groups))
    ) {
      reasons.push(`${name}@${version.version} ${why}`);
    }
    return false;
  });
  const candidates = narrow(fitting, range, explicit === undefined);
  const origin: Origin = explicit === undefined ? 'published' : 'explicit';
  if (candidates.length > 0) return { name, origin, candidates };
  if (reasons.length > 0) problems.push({ name, code: 'NOT_ELIGIBLE', message: reasons[0] ?? '' });
  else if (explicit !== undefined) {
    problems.push({
      name,
      code: 'VERSION_NOT_FOUND',
      message: `No version of ${name} that may be installed here is in ${range}`,
    });
  }
  // A range that nothing fulfils takes away nothing that works.
  const kept = fitting.filter((version) => version.version === here);
  return kept.length > 0 ? { name, origin, candidates: kept } : null;
}

/** Keeps the versions in range. A float prefers stable versions and takes a prerelease only where nothing else was published. */
function narrow(versions: RegistryVersion[], range: string, float: boolean): RegistryVersion[] {
  if (range !== '*') return versions.filter((v) => semver.satisfies(v.version, range));
  const stable = versions.filter((v) => !isPrerelease(v.version));
  return stable.length > 0 || !float ? stable : versions;
}

/** The design's status table for one version on one machine. */
export function statusAllows(
  version: RegistryVersion,
  here: string | undefined,
  explicit: boolean,
  byOperator: boolean,
  range: string,
): boolean {
  switch (version.status) {
    case 'published':
      return true;
    case 'registered':
      return here === version.version || (explicit && byOperator && semver.valid(range) === version.version);
    case 'deprecated':
      return here === version.version || explicit;
    case 'yanked':
    case 'deleted':
      return here === version.version;
    case 'revoked':
      return false;
  }
}

/** Why a version may not go to a machine, as the end of a sentence; null when it may. */
export function ineligible(
  version: RegistryVersion,
  machine: Pick<MachineFacts, 'groups' | 'capabilities' | 'haivemindVersion'>,
): string | null {
  if (version.machineGroups.length > 0 && !version.machineGroups.some((g) => groupReaches(g, machine.groups))) {
    return `is only for the groups ${version.machineGroups.join(', ')}`;
  }
  const lacking = version.requiredCapabilities.filter((c) => !machine.capabilities.includes(c));
  if (lacking.length > 0) return `needs the capabilities ${lacking.join(', ')}`;
  const least = version.minHaivemindVersion;
  if (least !== null && semver.valid(machine.haivemindVersion) !== null && semver.lt(machine.haivemindVersion, least)) {
    return `needs hAIveMind ${least}, the machine runs ${machine.haivemindVersion}`;
  }
  return null;
}

/** The highest number of approvals that a rule for one of these groups demands. */
export function quorumFor(quorums: readonly Quorum[], groups: readonly string[]): number {
  return quorums.reduce((most, q) => (groupReaches(q.group, groups) ? Math.max(most, q.approvals) : most), 0);
}

/**
 * Why too few operators have approved a version for a machine, as the end of a sentence; null when enough have. However it would come
 * (offered, ordered, required by another, after the machine changed its groups), it waits; what is there already stays.
 */
export function unapproved(
  registry: Pick<Registry, 'quorums'>,
  version: RegistryVersion,
  machine: Pick<MachineFacts, 'groups' | 'installed'>,
): string | null {
  const needed = quorumFor(registry.quorums ?? [], machine.groups);
  const have = version.approvedBy?.length ?? 0;
  if (have >= needed || version.name === CORE) return null;
  if (machine.installed.some((p) => p.name === version.name && p.version === version.version)) return null;
  return `is approved by ${have} of the ${needed} operators that a group of this machine demands`;
}

/** Whether a group (or pattern) reaches a machine with these groups. */
export function groupReaches(group: string, groups: readonly string[]): boolean {
  return group === '*' || groups.some((mine) => nameMatches(group, mine));
}

/** Versions of a plugin that nobody asked for on this machine but that another may require. */
function dependencyVersions(
  registry: Registry,
  machine: MachineFacts,
  installed: Here,
  name: string,
): RegistryVersion[] {
  if (machine.overrides.some((o) => o.name === name && o.kind === 'exclude')) return [];
  const here = installed.get(name);
  return (registry.plugins.get(name) ?? []).filter(
    (v) =>
      statusAllows(v, here, false, false, '*') &&
      ineligible(v, machine) === null &&
      unapproved(registry, v, machine) === null,
  );
}

function toEntries(
  resolution: Resolution,
  registry: Registry,
  wanted: Map<string, Wanted>,
  machine: MachineFacts,
): PlanEntry[] {
  const chosen = [...resolution].flatMap(
    ([name, version]) => registry.plugins.get(name)?.find((v) => v.version === version) ?? [],
  );
  const requiredBy = new Map<string, string[]>();
  for (const version of chosen) {
    for (const d of version.dependencies) {
      if (d.kind === 'required') requiredBy.set(d.name, [...(requiredBy.get(d.name) ?? []), version.name]);
    }
  }
  return dependenciesFirst(chosen).map((version) => {
    const { install, pin, hold } = overridesFor(machine, version.name);
    const range = hold?.range ?? pin?.range ?? install?.range;
    const exact = range !== undefined && semver.valid(range) !== null;
    const targets = version.targets.filter((t) => groupReaches(t.group, machine.groups));
    return {
      id: version.id,
      name: version.name,
      version: version.version,
      digest: version.digest,
      origin: wanted.get(version.name)?.origin ?? 'dependency',
      pinned: exact,
      notify: targets.length === 0 || targets.some((t) => t.notify),
      dependencies: version.dependencies.filter((d) => d.kind === 'required'),
      ...(install?.force ? { force: install.force } : {}),
      status: version.status,
      requiredBy: (requiredBy.get(version.name) ?? []).sort(),
      ...(version.publishedAt ? { publishedAt: version.publishedAt } : {}),
    };
  });
}

/** Dependencies before dependents, otherwise by name; members of a cycle stay together in name order. */
function dependenciesFirst(versions: readonly RegistryVersion[]): RegistryVersion[] {
  const byName = new Map(versions.map((v) => [v.name, v]));
  const seen = new Set<string>();
  const out: RegistryVersion[] = [];
  const visit = (version: RegistryVersion): void => {
    if (seen.has(version.name)) return;
    seen.add(version.name);
    for (const d of version.dependencies.map((x) => x.name).sort()) {
      const dependency = byName.get(d);
      if (dependency !== undefined) visit(dependency);
    }
    out.push(version);
  };
  for (const name of [...byName.keys()].sort()) visit(byName.get(name) as RegistryVersion);
  return out;
}
