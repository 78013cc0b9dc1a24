import { createHash } from 'node:crypto';
import semverCompare from 'semver/functions/compare.js';
import { type DesiredState, desiredState, groupReaches, ineligible } from '../../domain/desired/desired-state.ts';
import type { MachineFacts, Registry, RegistryVersion } from '../../domain/desired/registry.ts';
import { allInstallations } from '../../storage/queries/installations.ts';
import { allMachines } from '../../storage/queries/machines.ts';
import { listOverrides } from '../../storage/queries/overrides.ts';
import type { Tx } from '../../storage/tables/index.ts';
import { machineFacts } from '../machines/facts.ts';

/** What desired state needs to know of every machine, by name. */
export async function allMachineFacts(tx: Tx): Promise<MachineFacts[]> {
  const machines = await allMachines(tx);
  const installed = byMachine(await allInstallations(tx));
  const overrides = byMachine(await listOverrides(tx));
  return machines.map((m) => machineFacts(m, installed.get(m.id) ?? [], overrides.get(m.id) ?? []));
}

/** Kept of the same plugins: a fleet has few kinds of machines, and one that has more is computed anew. */
const MAX_STATES = 500;
const states = new WeakMap<Registry['plugins'], Map<string, DesiredState>>();

/**
 * Desired states of many machines; machines that differ in nothing that matters are computed once, whoever asks.
 * Never change what it answers.
 */
export function desiredStates(registry: Registry): (machine: MachineFacts) => DesiredState {
  const { plugins, quorums } = registry;
  const known = states.get(plugins) ?? new Map<string, DesiredState>();
  states.set(plugins, known);
  return (machine) => {
    const { groups, capabilities, haivemindVersion, installed, overrides } = machine;
    const facts = JSON.stringify([quorums, groups, capabilities, haivemindVersion, installed, overrides]);
    const key = createHash('sha256').update(facts).digest('base64');
    let state = known.get(key);
    if (state === undefined) {
      state = desiredState(registry, machine);
      if (known.size >= MAX_STATES) known.clear();
      known.set(key, state);
    }
    return state;
  };
}

/** Names of the machines whose desired state holds exactly this version, sorted. */
export function machinesHolding(registry: Registry, machines: readonly MachineFacts[], id: string): string[] {
  const stateOf = desiredStates(registry);
  return machines
    .filter((m) => stateOf(m).plugins.some((p) => p.id === id))
    .map((m) => m.name)
    .sort();
}

/** Names of the machines that a version is offered to and fits, whose desired state holds another one of its plugin, by that one. */
export function machinesOfOthers(
  registry: Registry,
  machines: readonly MachineFacts[],
  version: RegistryVersion,
): Instead {
  const stateOf = desiredStates(registry);
  const by = new Map<string, string[]>();
  for (const machine of machines) {
    const other = stateOf(machine).plugins.find((p) => p.name === version.name);
    if (other === undefined || other.id === version.id || ineligible(version, machine) !== null) continue;
    if (!version.targets.some(({ group }) => groupReaches(group, machine.groups))) continue;
    by.set(other.version, [...(by.get(other.version) ?? []), machine.name]);
  }
  return [...by].map(([other, names]) => ({ version: other, machines: names.sort() }));
}

type Instead = { version: string; machines: string[] }[];

/** The registry as it would be with one version changed, or added. */
export function withVersion(registry: Registry, changed: RegistryVersion): Registry {
  const others = (registry.plugins.get(changed.name) ?? []).filter((v) => v.id !== changed.id);
  const versions = [...others, changed].sort((a, b) => semverCompare(b.version, a.version));
  return { ...registry, plugins: new Map(registry.plugins).set(changed.name, versions) };
}

/** Rows of many machines, by machine. */
export function byMachine<T extends { machineId: string }>(rows: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const list = groups.get(row.machineId);
    if (list === undefined) groups.set(row.machineId, [row]);
    else list.push(row);
  }
  return groups;
}
