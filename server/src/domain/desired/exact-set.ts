import { isUnfit, type PlanProblem } from '../plan/index.ts';
import { desiredState } from './desired-state.ts';
import { againstLock, type LockDifference, type Locked } from './lockfile.ts';
import type { MachineFacts, MachineOverride, Registry } from './registry.ts';

export interface ExactSet {
  /** What the machine has to be told to have, and not to have (names), so that it is to have the locked set and nothing else. */
  order: LockDifference;
  /** What is not as locked even then; nothing where the set can be had. */
  left: LockDifference;
  /** What speaks against it. */
  problems: PlanProblem[];
}

/** How a machine comes to have exactly the locked set; changes nothing. */
export function exactSet(registry: Registry, machine: MachineFacts, locked: readonly Locked[]): ExactSet {
  const order: LockDifference = { install: [], exclude: [] };
  for (;;) {
    const { plugins, problems } = desiredState(registry, {
      ...machine,
      overrides: withOrder(machine.overrides, order),
    });
    // What is here and could not be planned stays.
    const stuck = machine.installed.filter(
      ({ name }) => problems.some((p) => p.name === name && isUnfit(p)) && !plugins.some((p) => p.name === name),
    );
    const left = againstLock(locked, [...plugins, ...stuck.map((p) => ({ ...p, digest: '' }))]);
    const install = left.install.filter(({ name }) => !order.install.some((p) => p.name === name));
    const exclude = left.exclude.filter((name) => !order.exclude.includes(name));
    // An order may bring, or take, what another needs: each round adds one that is not ordered yet, or is the last.
    if (install.length === 0 && exclude.length === 0) return { order, left, problems };
    order.install.push(...install);
    order.exclude.push(...exclude);
  }
}

function withOrder(overrides: readonly MachineOverride[], { install, exclude }: LockDifference): MachineOverride[] {
  const own = { force: null, byOperator: false };
  const ordered = new Set([...install.map((p) => p.name), ...exclude]);
  return [
    ...overrides.filter((o) => !ordered.has(o.name)),
    ...install.map(({ name, version }) => ({ ...own, name, kind: 'install' as const, range: version })),
    ...exclude.map((name) => ({ ...own, name, kind: 'exclude' as const, range: '*' })),
  ];
}
