// A hub and its machines as pure data around the real rules (desiredState, pickChanges), joined by messages that may be lost, late,
// repeated and out of order.
import semver from 'semver';
import { desiredState } from '../../server/src/domain/desired/desired-state.ts';
import type { MachineOverride, RegistryVersion, VersionStatus } from '../../server/src/domain/desired/registry.ts';
import { meets } from '../../server/src/domain/desired/resolve.ts';
import type { PlanEntry, PlanProblem } from '../../server/src/domain/plan/index.ts';
import { type InstalledFacts, pickChanges, type Waiting } from '../../server/src/domain/plan/pick-changes.ts';
import type { Dependency } from '../../server/src/domain/version/manifest.ts';

export const PLUGINS = ['aa', 'bb', 'cc', 'dd'];
export const GROUPS = ['g', 'h'];

export type Step =
  | { do: 'publish'; name: string; version: string; dependencies: Dependency[]; target: string }
  | { do: 'status'; name: string; pick: number; status: VersionStatus }
  | { do: 'groups'; machine: number; groups: string[] }
  | { do: 'capabilities'; machine: number; capabilities: string[] }
  | { do: 'override'; machine: number; name: string; kind: MachineOverride['kind']; range: string }
  | { do: 'clear'; machine: number; name: string }
  | { do: 'send-plan'; machine: number }
  | { do: 'receive'; machine: number; pick: number; again: boolean }
  | { do: 'lose'; machine: number; pick: number }
  | { do: 'send-report'; machine: number }
  | { do: 'take-report'; machine: number; pick: number; again: boolean };

interface PlanMessage {
  counter: number;
  plugins: PlanEntry[];
  problems: PlanProblem[];
}

interface Machine {
  name: string;
  groups: string[];
  capabilities: string[];
  overrides: MachineOverride[];
  /** As last reported. */
  reported: { name: string; version: string }[];
  installed: Map<string, InstalledFacts>;
  seen: number;
  installUpdates: boolean;
  installNew: boolean;
  waiting: readonly Waiting[];
  plans: PlanMessage[];
  reports: { name: string; version: string }[][];
}

export class Model {
  readonly versions = new Map<string, RegistryVersion[]>();
  readonly machines: Machine[];
  seq = 1;

  constructor(policies: readonly { installUpdates: boolean; installNew: boolean }[]) {
    this.machines = policies.map((policy, i) => ({
      ...policy,
      name: `m${i}`,
      groups: ['g'],
      capabilities: [],
      overrides: [],
      reported: [],
      installed: new Map(),
      seen: 0,
      waiting: [],
      plans: [],
      reports: [],
    }));
  }

  run(step: Step): void {
    const machine = 'machine' in step ? this.machines[step.machine % this.machines.length] : undefined;
    switch (step.do) {
      case 'publish':
        this.publish(step);
        return;
      case 'status': {
        const list = this.versions.get(step.name) ?? [];
        const version = list[step.pick % Math.max(1, list.length)];
        if (version !== undefined && version.status !== 'deleted') {
          version.status = step.status;
          this.seq++;
        }
        return;
      }
    }
    if (machine === undefined) return;
    switch (step.do) {
      case 'groups':
        machine.groups = step.groups;
        this.seq++;
        return;
      case 'capabilities':
        machine.capabilities = step.capabilities;
        this.seq++;
        return;
      case 'override':
        machine.overrides = machine.overrides.filter((o) => o.name !== step.name);
        machine.overrides.push({ name: step.name, kind: step.kind, range: step.range, force: null, byOperator: true });
        this.seq++;
        return;
      case 'clear':
        machine.overrides = machine.overrides.filter((o) => o.name !== step.name);
        this.seq++;
        return;
      case 'send-plan':
        machine.plans.push(this.plan(machine));
        return;
      case 'receive': {
        const at = step.pick % Math.max(1, machine.plans.length);
        const message = machine.plans[at];
        if (message === undefined) return;
        if (!step.again) machine.plans.splice(at, 1);
        this.apply(machine, message);
        return;
      }
      case 'lose':
        machine.plans.splice(step.pick % Math.max(1, machine.plans.length), 1);
        return;
      case 'send-report':
        machine.reports.push(reportOf(machine));
        return;
      case 'take-report': {
        const at = step.pick % Math.max(1, machine.reports.length);
        const report = machine.reports[at];
        if (report === undefined) return;
        if (!step.again) machine.reports.splice(at, 1);
        machine.reported = report;
        return;
      }
    }
  }

  private publish(step: Step & { do: 'publish' }): void {
    const list = this.versions.get(step.name) ?? [];
    const known = list.find((v) => v.version === step.version);
    if (known !== undefined) known.targets.push({ group: step.target, notify: true });
    else {
      const { name, version } = step;
      list.push({
        id: `${name}-${version}`,
        name,
        version,
        digest: `sha256:${name}-${version}`,
        status: 'published',
        targets: [{ group: step.target, notify: true }],
        machineGroups: [],
        requiredCapabilities: version.endsWith('.9') ? ['special'] : [],
        minHaivemindVersion: null,
        dependencies: step.dependencies.filter((d) => d.name !== name),
      });
      list.sort((a, b) => semver.rcompare(a.version, b.version));
      this.versions.set(name, list);
    }
    this.seq++;
  }

  plan(machine: Machine): PlanMessage {
    const { name, groups, capabilities, overrides, reported } = machine;
    const facts = { id: name, name, groups, capabilities, overrides, installed: reported, haivemindVersion: '1.0.0' };
    return { counter: this.seq, ...desiredState({ seq: this.seq, plugins: this.versions }, facts) };
  }

  /** One sync, as client/sync does it with an accepted plan. */
  private apply(machine: Machine, message: PlanMessage): void {
    if (message.counter < machine.seen) return;
    const picked = pickChanges({
      plan: message.plugins,
      problems: message.problems,
      installed: machine.installed,
      holds: new Set(),
      refused: new Map(),
      policy: { installNew: machine.installNew, installUpdates: machine.installUpdates },
    });
    for (const name of picked.remove) machine.installed.delete(name);
    for (const { name, version, digest, dependencies } of picked.install) {
      machine.installed.set(name, { version, digest, dependencies });
    }
    machine.seen = message.counter;
    machine.waiting = picked.waiting;
  }

  /** Everybody is reachable and nothing happens any more: each asks, changes and reports until nothing moves. */
  settle(rounds: number): number {
    for (let round = 1; round <= rounds; round++) {
      const before = this.state();
      for (const machine of this.machines) {
        machine.plans = [];
        machine.reports = [];
        this.apply(machine, this.plan(machine));
        machine.reported = reportOf(machine);
      }
      if (this.state() === before) return round;
    }
    return Number.POSITIVE_INFINITY;
  }

  private state(): string {
    return JSON.stringify(this.machines.map((m) => [[...m.installed].sort(), m.reported]));
  }

  /** What would not load in the client: an installed plugin whose required dependency is absent or out of range. */
  broken(): string[] {
    return this.machines.flatMap((machine) =>
      [...machine.installed].flatMap(([name, { dependencies }]) =>
        dependencies
          .filter((d) => d.kind === 'required')
          .filter((d) => {
            const there = machine.installed.get(d.name)?.version;
            return there === undefined || !meets(there, d.range);
          })
          .map((d) => `${machine.name}: ${name} needs ${d.name} ${d.range}`),
      ),
    );
  }

  /** What a machine has other than its plan says without saying that it waits. */
  astray(): string[] {
    return this.machines.flatMap((machine) => {
      const plan = this.plan(machine);
      const waits = new Map(machine.waiting.map((w) => [w.name, w]));
      const names = new Set([...machine.installed.keys(), ...plan.plugins.map((p) => p.name)]);
      return [...names].flatMap((name) => {
        const wanted = plan.plugins.find((p) => p.name === name)?.digest;
        const here = machine.installed.get(name)?.digest;
        if (wanted === here) return [];
        const wait = waits.get(name);
        const lazy = !machine.installUpdates || !machine.installNew;
        const torn = plan.problems.some((p) => p.code.startsWith('DEPENDENCY_'));
        const excused =
          wait !== undefined && ((wait.why === 'dependency' && (lazy || torn)) || (wait.why === 'policy' && lazy));
        return excused ? [] : [`${machine.name}: ${name} is ${here ?? 'absent'}, wanted ${wanted ?? 'absent'}`];
      });
    });
  }
}

function reportOf(machine: Machine): { name: string; version: string }[] {
  return [...machine.installed].map(([name, { version }]) => ({ name, version }));
}
