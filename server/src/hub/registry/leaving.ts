import { circleOf, dependentsOn, type Needs } from '../../domain/desired/dependents.ts';
import { desiredState } from '../../domain/desired/desired-state.ts';
import type { MachineFacts, MachineOverride, Registry } from '../../domain/desired/registry.ts';
import { isUnfit } from '../../domain/plan/index.ts';

/** What it means for one machine that a plugin is taken out of its desired state. */
export interface Leaving {
  /** Whether the desired state holds it now. */
  holds: boolean;
  /** What else cannot be had without it because it needs them too. */
  along: string[];
  /** Those of them that somebody asked for by name on this machine: that wish goes with it. */
  wishes: string[];
  /** Whether it would be wanted again once its overrides are gone. */
  comesBack: boolean;
  /** Others that need it, or one that goes along. */
  neededBy: string[];
}

/** What a machine's desired state says of a plugin, now and without it. */
export function leaving(registry: Registry, machine: MachineFacts, name: string): Leaving {
  const now = desiredState(registry, machine);
  const needs: Needs = new Map([
    ...stuck(registry, machine, now.problems),
    ...now.plugins.map((p) => [p.name, p.dependencies] as const),
  ]);
  const circle = circleOf(name, needs);
  const others = machine.overrides.filter((o) => o.name !== name);
  const { along, wishes } =
    circle.length === 1 ? { along: [], wishes: [] } : goingAlong(registry, machine, name, circle);
  const bare = others.filter((o) => o.kind === 'exclude' || !wishes.includes(o.name));
  const then = desiredState(registry, { ...machine, overrides: bare });
  return {
    holds: now.plugins.some((p) => p.name === name),
    along,
    wishes,
    comesBack: then.plugins.some((p) => p.name === name) || then.problems.some((p) => p.name === name && isUnfit(p)),
    neededBy: dependentsOn(circle, needs),
  };
}

/** Of a circle: a member that has a version which does without the plugin stays. */
function goingAlong(
  registry: Registry,
  machine: MachineFacts,
  name: string,
  circle: readonly string[],
): Pick<Leaving, 'along' | 'wishes'> {
  const others = machine.overrides.filter((o) => o.name !== name);
  const { plugins, problems } = desiredState(registry, { ...machine, overrides: [...others, exclusion(name)] });
  const along = circle.filter((other) => other !== name && !plugins.some((p) => p.name === other));
  return { along, wishes: along.filter((other) => problems.some((p) => p.name === other)) };
}

/** What is installed, wanted, and could not be planned: it stays, and so does what it needs. */
function stuck(registry: Registry, machine: MachineFacts, problems: readonly { name: string; code: string }[]): Needs {
  return new Map(
    machine.installed.flatMap(({ name, version }) => {
      if (!problems.some((p) => p.name === name && isUnfit(p))) return [];
      const found = registry.plugins.get(name)?.find((v) => v.version === version);
      return found === undefined ? [] : [[name, found.dependencies]];
    }),
  );
}

const exclusion = (name: string): MachineOverride => ({
  name,
  kind: 'exclude',
  range: '*',
  force: null,
  byOperator: true,
});
