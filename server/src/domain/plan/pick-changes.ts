import { meets } from '../desired/resolve.ts';
import type { Dependency } from '../version/manifest.ts';
import { isUnfit, type PlanEntry, type PlanProblem } from './index.ts';

/** What this machine has of one plugin, from its receipts. */
export interface InstalledFacts {
  version: string;
  digest: string;
  dependencies: readonly Dependency[];
  /** The last forced reinstall that was carried out. */
  force?: string | undefined;
}

export interface PickInput {
  plan: readonly PlanEntry[];
  /** What the hub could not give; a plugin it could not fit with others stays as it is here. */
  problems: readonly PlanProblem[];
  installed: ReadonlyMap<string, InstalledFacts>;
  /** Made by a rollback here: the installed version stays until somebody asks for another. */
  holds: ReadonlySet<string>;
  /** Digests that failed here before; not tried again by themselves. */
  refused: ReadonlyMap<string, string>;
  /** Digests that may not run here, and why: revoked, or forbidden by this machine. They go whatever else was said. */
  banned?: ReadonlyMap<string, string> | undefined;
  policy: {
    /** First installs without being asked (machine_group_auto_install). */
    installNew: boolean;
    /** Updates without being asked (auto_install_updates). */
    installUpdates: boolean;
  };
  /** Installed and updated whatever the policy says (haivemind-core at join). */
  always?: readonly string[] | undefined;
  /** Only these plugins, and what they need, change. */
  only?: readonly string[] | undefined;
  /** Installed, but not as it was published: put back, named or not. */
  repair?: ReadonlySet<string> | undefined;
  /** Reinstall what is in step too, and try refused digests again. */
  force?: boolean | undefined;
}

/** `policy`: the configuration says to wait · `held`: a rollback here · `refused`: failed here before · `dependency`: what it needs waits, or what stays forbids it. */
export type WaitReason = 'policy' | 'held' | 'refused' | 'dependency';

export interface Waiting {
  name: string;
  /** Installed version; null when absent. */
  from: string | null;
  /** The hub's version; null when the hub would take it away. */
  to: string | null;
  why: WaitReason;
  detail: string;
  /** False when the publisher asked that people are not told. */
  notify: boolean;
}

export interface Picked {
  /** In the plan's order: dependencies first. */
  install: PlanEntry[];
  remove: string[];
  waiting: Waiting[];
}

interface Slot {
  name: string;
  entry: PlanEntry | undefined;
  here: InstalledFacts | undefined;
  /** Which version is to be there after this sync; `none` when the plugin is absent. */
  take: 'plan' | 'here' | 'none';
  wait?: { why: WaitReason; detail: string };
}

/**
 * Decides what one sync changes: from the plan to what the policy allows, such that everything that will be there finds its
 * required dependencies in range. Pure.
 */
export function pickChanges(input: PickInput): Picked {
  const slots = new Map<string, Slot>();
  const entries = new Map(input.plan.map((e) => [e.name, e]));
  for (const name of new Set([...entries.keys(), ...input.installed.keys()])) {
    slots.set(name, firstChoice(name, entries.get(name), input));
  }
  pullDependencies(slots, input);
  holdBack(slots, input);
  return toPicked(slots, input);
}

function firstChoice(name: string, entry: PlanEntry | undefined, input: PickInput): Slot {
  const here = input.installed.get(name);
  const slot: Slot = { name, entry, here, take: here === undefined ? 'none' : 'here' };
  if (entry === undefined) return withoutEntry(slot, input);
  if (here !== undefined && here.digest === entry.digest && !input.banned?.has(here.digest)) return slot;
  const banned = input.banned?.get(entry.digest);
  const lost = here !== undefined && input.banned?.has(here.digest) === true;
  if (banned !== undefined) {
    slot.take = here !== undefined && !lost ? 'here' : 'none';
    slot.wait = { why: 'refused', detail: banned };
    return slot;
  }
  const refused = input.refused.get(entry.digest);
  const inScope = input.only === undefined || input.only.includes(name);
  const ordered = entry.origin === 'explicit' && entry.pinned;
  if (input.holds.has(name) && here !== undefined && !ordered) {
    slot.wait = { why: 'held', detail: `${name} was rolled back to ${here.version} here` };
  } else if (refused !== undefined && input.force !== true) {
    slot.wait = { why: 'refused', detail: refused };
  } else if (inScope && allowed(entry, here, input)) slot.take = 'plan';
  else slot.wait = { why: 'policy', detail: here === undefined ? 'not installed by itself' : 'not updated by itself' };
  if (lost && slot.take === 'here') slot.take = 'none';
  return slot;
}

function withoutEntry(slot: Slot, input: PickInput): Slot {
  if (slot.here !== undefined && input.banned?.has(slot.here.digest)) {
    slot.take = 'none';
    return slot;
  }
  const unfit = input.problems.find((p) => p.name === slot.name && isUnfit(p));
  if (unfit !== undefined) slot.wait = { why: 'dependency', detail: unfit.message };
  else if (input.only === undefined || input.only.includes(slot.name) || orphaned(slot.name, input)) slot.take = 'none';
  return slot;
}

/** Whether only named plugins that go away themselves, or what goes along with them, required this one. */
function orphaned(name: string, input: PickInput): boolean {
  const only = input.only ?? [];
  const gone = (other: string): boolean => !input.plan.some((entry) => entry.name === other);
  const broughtByThem = (all: ReadonlySet<string>): boolean => only.some((named) => all.has(named));
  const above = dependentsOf(name, input);
  if (!broughtByThem(above) || ![...above].every(gone)) return false;
  // Of plugins that need each other none is brought by what goes unless something that goes needs one of them.
  return [...above].every((other) => only.includes(other) || broughtByThem(dependentsOf(other, input)));
}

/** All that is installed and requires a plugin, itself or through others. */
function dependentsOf(name: string, { installed }: PickInput): Set<string> {
  const found = new Set<string>();
  const visit = (of: string): void => {
    for (const [other, { dependencies }] of installed) {
      if (other === name || found.has(other) || !dependencies.some((d) => d.name === of)) continue;
      found.add(other);
      visit(other);
    }
  };
  visit(name);
  return found;
}

function allowed(entry: PlanEntry, here: InstalledFacts | undefined, input: PickInput): boolean {
  if (input.always?.includes(entry.name)) return true;
  if (entry.origin === 'explicit') {
    // Somebody named this machine: a first install, an exact version or a forced one is the order itself; a float waits like others.
    if (here === undefined || entry.pinned || forced(entry, here)) return true;
  }
  return here === undefined ? input.policy.installNew : input.policy.installUpdates;
}

/** What a version that comes needs comes with it, whatever the policy says of first installs. */
function pullDependencies(slots: Map<string, Slot>, input: PickInput): void {
  const queue = [...slots.values()].filter((s) => s.take === 'plan');
  for (let slot = queue.pop(); slot !== undefined; slot = queue.pop()) {
    for (const d of slot.entry?.dependencies ?? []) {
      const needed = slots.get(d.name);
      if (needed?.entry === undefined || needed.take === 'plan' || satisfies(needed, d)) continue;
      const byPolicy = needed.wait?.why === 'policy';
      const updating = needed.here !== undefined;
      const mayUpdate = input.policy.installUpdates || input.only?.includes(slot.name) === true || isOrder(slot, input);
      if (!byPolicy || (updating && !mayUpdate)) continue;
      needed.take = 'plan';
      delete needed.wait;
      queue.push(needed);
    }
  }
}

const isOrder = (slot: Slot, input: PickInput): boolean =>
  slot.entry?.origin === 'explicit' || input.always?.includes(slot.name) === true;

const versionOf = (slot: Slot): string | undefined =>
  slot.take === 'plan' ? slot.entry?.version : slot.take === 'here' ? slot.here?.version : undefined;

const dependenciesOf = (slot: Slot): readonly Dependency[] =>
  (slot.take === 'plan' ? slot.entry?.dependencies : slot.take === 'here' ? slot.here?.dependencies : undefined) ?? [];

function satisfies(slot: Slot | undefined, dependency: Dependency): boolean {
  const version = slot === undefined ? undefined : versionOf(slot);
  return version !== undefined && meets(version, dependency.range);
}

/** Takes back changes until all that will be there finds what it needs; each step undoes one change, so it ends. */
function holdBack(slots: Map<string, Slot>, input: PickInput): void {
  const lost = (slot: Slot): boolean => slot.here !== undefined && input.banned?.has(slot.here.digest) === true;
  const changed = (slot: Slot | undefined): slot is Slot =>
    slot !== undefined && (slot.take === 'plan' || (slot.take === 'none' && slot.here !== undefined));
  const undo = (slot: Slot, detail: string): void => {
    slot.take = slot.here === undefined || lost(slot) ? 'none' : 'here';
    slot.wait = { why: 'dependency', detail };
  };
  for (let again = true; again; ) {
    again = false;
    for (const slot of slots.values()) {
      for (const d of dependenciesOf(slot)) {
        if (d.kind !== 'required') continue;
        const needed = slots.get(d.name);
        if (satisfies(needed, d)) continue;
        if (slot.take === 'plan') undo(slot, `needs ${d.name} ${d.range}, which waits`);
        else if (changed(needed) && needed.here !== undefined && !lost(needed) && meets(needed.here.version, d.range))
          undo(needed, `${slot.name} ${slot.here?.version} needs ${d.name} ${d.range}`);
        else continue;
        again = true;
        break;
      }
    }
  }
}

function toPicked(slots: Map<string, Slot>, input: PickInput): Picked {
  const picked: Picked = { install: [], remove: [], waiting: [] };
  for (const entry of input.plan) {
    const slot = slots.get(entry.name);
    if (slot?.take === 'plan') picked.install.push(entry);
    else if (slot?.take === 'here' && slot.wait === undefined && reinstall(slot, entry, input))
      picked.install.push(entry);
  }
  for (const slot of slots.values()) {
    if (slot.take === 'none' && slot.here !== undefined) picked.remove.push(slot.name);
    if (slot.wait === undefined || slot.take === 'plan') continue;
    picked.waiting.push({
      name: slot.name,
      from: slot.here?.version ?? null,
      to: slot.entry?.version ?? null,
      ...slot.wait,
      notify: slot.entry?.notify ?? true,
    });
  }
  return picked;
}

function reinstall(slot: Slot, entry: PlanEntry, input: PickInput): boolean {
  if (input.repair?.has(slot.name) === true) return true;
  if (input.only !== undefined && !input.only.includes(slot.name)) return false;
  if (input.force === true) return true;
  return slot.here !== undefined && forced(entry, slot.here);
}

/** A reinstall was ordered that this machine has not carried out yet. */
const forced = (entry: PlanEntry, here: InstalledFacts): boolean =>
  entry.force !== undefined && entry.force !== here.force;
