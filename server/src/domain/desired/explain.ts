import semver from 'semver';
import { HaiveError } from '../errors.ts';
import { isUnfit, type Origin } from '../plan/index.ts';
import { meantHint } from '../validate/suggest.ts';
import { desiredState, groupReaches, ineligible, statusAllows, unapproved } from './desired-state.ts';
import type { MachineFacts, MachineOverride, Registry, RegistryVersion } from './registry.ts';
import { inRange, meets } from './resolve.ts';

/** Why one plugin is, or is not, on one machine: what the rules of desired-state did, in the order in which they were applied. */
export interface Reason {
  kind: 'published' | 'override' | 'dependency' | 'dependent' | 'version' | 'problem';
  /** One sentence without its full stop. */
  text: string;
}

export interface Explanation {
  name: string;
  machine: string;
  /** What the hub wants there; null when nothing. */
  desired: { version: string; origin: Origin; pinned: boolean } | null;
  /** What the machine last reported. */
  installed: string | null;
  reasons: Reason[];
}

/** Who did it, as the registry's rows say; a name or '' where that is not known. */
export interface Deeds {
  publishedBy(versionId: string, group: string): string;
  overriddenBy(name: string, kind: MachineOverride['kind']): string;
}

const MISFIT = 'what it needs does not fit with the rest';

/** Newer versions that are passed over are named one by one up to so many. */
const MOST = 5;

/**
 * Explains a plugin on a machine.
 * @throws HaiveError PLUGIN_NOT_FOUND when neither the registry nor the machine knows the name
 */
export function explain(registry: Registry, machine: MachineFacts, name: string, deeds: Deeds): Explanation {
  const versions = registry.plugins.get(name) ?? [];
  const installed = machine.installed.find((p) => p.name === name)?.version ?? null;
  const overrides = machine.overrides.filter((o) => o.name === name);
  if (versions.length === 0 && installed === null && overrides.length === 0) {
    const offered = [...registry.plugins].filter(([, all]) => all.some((v) => v.status === 'published'));
    const meant = meantHint(
      name,
      offered.map(([other]) => other),
    );
    throw new HaiveError('PLUGIN_NOT_FOUND', `${name} is not in the registry`, meant);
  }
  const state = desiredState(registry, machine);
  const entry = state.plugins.find((p) => p.name === name);
  const passed = passedOver(versions, machine, entry?.version, overrides, registry, state.plugins);
  const problems = state.problems.filter((p) => p.name === name);
  const misfit = problems.some(isUnfit) || passed.some(({ text }) => text.endsWith(MISFIT));
  const reasons: Reason[] = [
    ...publications(versions, machine, entry?.version, deeds),
    ...overrides.map((o): Reason => ({ kind: 'override', text: overrideText(o, deeds.overriddenBy(name, o.kind)) })),
    ...dependents(registry, state.plugins, name),
    ...passed,
    ...problems.map((p): Reason => ({ kind: 'problem', text: p.message })),
    ...(misfit ? saidOfNeeds(registry, machine, name, deeds) : []),
  ];
  if (entry === undefined && reasons.length === 0) {
    reasons.push({
      kind: 'published',
      text: `${name} is published to none of the machine's groups, and nobody asked for it here`,
    });
  }
  return {
    name,
    machine: machine.name,
    desired: entry === undefined ? null : { version: entry.version, origin: entry.origin, pinned: entry.pinned },
    installed,
    reasons,
  };
}

/** What was said here of the plugins that this one needs, directly or through others. */
function saidOfNeeds(registry: Registry, machine: MachineFacts, name: string, deeds: Deeds): Reason[] {
  const needs = new Set([name]);
  for (const other of needs) {
    const required = (registry.plugins.get(other) ?? [])
      .flatMap((v) => v.dependencies)
      .filter((d) => d.kind === 'required');
    for (const dependency of required) needs.add(dependency.name);
  }
  return machine.overrides
    .filter((o) => o.name !== name && o.kind !== 'install' && needs.has(o.name))
    .map((o) => ({ kind: 'override', text: `${o.name} is ${overrideText(o, deeds.overriddenBy(o.name, o.kind))}` }));
}

const by = (who: string): string => (who === '' ? '' : ` by ${who}`);

/** Groups through which the chosen version reaches the machine, or which any version reaches when none was chosen. */
function publications(
  versions: readonly RegistryVersion[],
  machine: MachineFacts,
  chosen: string | undefined,
  deeds: Deeds,
): Reason[] {
  const here = machine.installed.find((p) => p.name === versions[0]?.name)?.version;
  const told = chosen === undefined ? versions.slice(0, 1) : versions.filter((v) => v.version === chosen);
  return told.flatMap((version) =>
    version.targets
      .filter((t) => groupReaches(t.group, machine.groups))
      .map((t): Reason => {
        const to = t.group === '*' ? 'all machines' : `the group ${t.group}`;
        const who = by(deeds.publishedBy(version.id, t.group));
        if (version.status === 'published')
          return { kind: 'published', text: `${version.version} is published to ${to}${who}` };
        const stays = here === version.version ? ', and stays because it is here' : '';
        return {
          kind: 'published',
          text: `${version.version} was published to ${to}${who}; it is ${version.status}${stays}`,
        };
      }),
  );
}

/** What an override says, as the end of a sentence. @param who made it, '' where that is not known */
export function overrideText(override: Pick<MachineOverride, 'kind' | 'range'>, who: string): string {
  switch (override.kind) {
    case 'install':
      return `${override.range === '*' ? 'asked for here' : `${override.range} asked for here`}${by(who)}`;
    case 'pin':
      return `pinned to ${override.range} here${by(who)}`;
    case 'hold':
      return `held at ${override.range} here${by(who)}`;
    case 'exclude':
      return `excluded from this machine${by(who)}`;
  }
}

function dependents(registry: Registry, chosen: readonly { name: string; version: string }[], name: string): Reason[] {
  return chosen.flatMap(({ name: dependent, version }) => {
    const found = registry.plugins.get(dependent)?.find((v) => v.version === version);
    return (found?.dependencies ?? [])
      .filter((d) => d.name === name)
      .map(({ kind, range }): Reason => {
        const how = kind === 'required' ? 'requires' : 'goes well with';
        return { kind: 'dependent', text: `${dependent}@${version} ${how} ${name} ${range}` };
      });
  });
}

/** Newer versions than the chosen one, each with what spoke against it. */
function passedOver(
  versions: readonly RegistryVersion[],
  machine: MachineFacts,
  chosen: string | undefined,
  overrides: readonly MachineOverride[],
  registry: Registry,
  others: readonly { name: string; version: string }[],
): Reason[] {
  const here = machine.installed.find((p) => p.name === versions[0]?.name)?.version;
  const end = chosen === undefined ? versions.length : versions.findIndex((v) => v.version === chosen);
  const newer = versions.slice(0, Math.max(0, end));
  const reasons = newer.slice(0, MOST).map((version): Reason => {
    const why = against(version, machine, here, overrides, registry, others);
    return { kind: 'version', text: `not ${version.version}: ${why}` };
  });
  const more = newer.length - reasons.length;
  if (more > 0) reasons.push({ kind: 'version', text: `nor ${more} other versions` });
  return reasons;
}

function against(
  version: RegistryVersion,
  machine: MachineFacts,
  here: string | undefined,
  overrides: readonly MachineOverride[],
  registry: Registry,
  others: readonly { name: string; version: string }[],
): string {
  const of = (kind: MachineOverride['kind']): MachineOverride | undefined => overrides.find((o) => o.kind === kind);
  if (of('exclude') !== undefined) return 'the plugin is excluded here';
  const explicit = of('install') ?? of('pin') ?? of('hold');
  const chooser = of('hold') ?? of('pin') ?? explicit;
  const range = chooser?.range ?? '*';
  if (!statusAllows(version, here, explicit !== undefined, chooser?.byOperator === true, range))
    return `it is ${version.status}`;
  const unfit = ineligible(version, machine) ?? unapproved(registry, version, machine);
  if (unfit !== null) return `it ${unfit}`;
  if (range !== '*' && !inRange(version.version, range)) return `${range} is asked for here`;
  const reached = version.targets.some((t) => groupReaches(t.group, machine.groups));
  const refusing = others.flatMap(({ name, version: chosen }) => {
    const found = registry.plugins.get(name)?.find((v) => v.version === chosen);
    const demand = found?.dependencies.find((d) => d.name === version.name && d.kind === 'required');
    return demand !== undefined && !meets(version.version, demand.range)
      ? [`${name}@${chosen} wants ${demand.range}`]
      : [];
  });
  if (refusing.length > 0) return refusing.join(', ');
  if (!reached && explicit === undefined) return 'it is published to none of the groups of this machine';
  if (semver.prerelease(version.version) !== null) return 'it is a prerelease';
  return MISFIT;
}
