/** What a machine might want, from what machines like it have. Pure: facts in, advice with its reasons out. */

export interface FleetMachine {
  id: string;
  groups: readonly string[];
  capabilities: readonly string[];
  installed: ReadonlySet<string>;
}

/** A plugin that may be had: published, fit for the machine, neither there nor coming nor excluded. */
export interface Offer {
  name: string;
  /** Where its author says it belongs. */
  machineGroups: readonly string[];
  requiredCapabilities: readonly string[];
}

/** Each is a statement about the fleet that can be counted over: `have` of `of` OTHER machines. */
export type Reason =
  | { kind: 'group' | 'capability' | 'beside'; name: string; have: number; of: number }
  | { kind: 'made_for'; names: string[] }
  | { kind: 'needs'; names: string[] };

export interface Advice {
  name: string;
  score: number;
  /** Most telling first; never empty. */
  reasons: Reason[];
}

/** How many of the likest machines are asked. */
const PEERS = 25;
/** Below this likeness a machine says nothing about another. */
const LIKE_ENOUGH = 0.1;
/** A share says something from so many machines on, and from this share on. */
const MIN_MACHINES = 2;
const MIN_SHARE = 0.5;

/** Offers that the machine's likes speak for, best first. */
export function recommend(target: FleetMachine, fleet: readonly FleetMachine[], offers: readonly Offer[]): Advice[] {
  const others = fleet.filter((machine) => machine.id !== target.id);
  const peers = likest(target, others);
  const weight = peers.reduce((sum, p) => sum + p.like, 0);
  const advice: Advice[] = [];
  for (const offer of offers) {
    const reasons = [...shares(target, others, offer.name), ...own(target, offer)];
    if (reasons.length === 0) continue;
    const having = peers.reduce((sum, { machine, like }) => sum + (machine.installed.has(offer.name) ? like : 0), 0);
    const near = weight === 0 ? 0 : having / weight;
    const everywhere = count(others, (m) => m.installed.has(offer.name)) / Math.max(1, others.length);
    // What the likes have and others have not tells more than what everybody has.
    const score =
      0.35 * near +
      0.45 * Math.max(0, near - everywhere) +
      (reasons.some((r) => r.kind === 'made_for') ? 0.15 : 0) +
      (reasons.some((r) => r.kind === 'needs') ? 0.05 : 0);
    advice.push({ name: offer.name, score: Math.min(1, score), reasons });
  }
  return advice.sort((a, b) => b.score - a.score || (a.name < b.name ? -1 : 1));
}

interface Peer {
  machine: FleetMachine;
  like: number;
}

/** Machines that share rare groups, capabilities and plugins with the target. */
function likest(target: FleetMachine, others: readonly FleetMachine[]): Peer[] {
  const seen = new Map<string, number>();
  for (const machine of others) for (const trait of traits(machine)) seen.set(trait, (seen.get(trait) ?? 0) + 1);
  const rarity = (trait: string) => Math.log(1 + others.length / (1 + (seen.get(trait) ?? 0)));
  const mine = new Set(traits(target));
  const sum = (list: Iterable<string>) => [...list].reduce((total, trait) => total + rarity(trait), 0);
  const all = sum(mine);
  return others
    .map((machine) => {
      const theirs = traits(machine);
      const common = sum(theirs.filter((trait) => mine.has(trait)));
      const either = all + sum(theirs) - common;
      return { machine, like: either === 0 ? 0 : common / either };
    })
    .filter(({ like }) => like >= LIKE_ENOUGH)
    .sort((a, b) => b.like - a.like || (a.machine.id < b.machine.id ? -1 : 1))
    .slice(0, PEERS);
}

const traits = (m: FleetMachine): string[] => [
  ...m.groups.map((g) => `g ${g}`),
  ...m.capabilities.map((c) => `c ${c}`),
  ...[...m.installed].map((p) => `p ${p}`),
];

/** The strongest share of each kind: in one of the target's groups, with one of its capabilities, beside one of its plugins. */
function shares(target: FleetMachine, others: readonly FleetMachine[], plugin: string): Reason[] {
  const has = (m: FleetMachine) => m.installed.has(plugin);
  const best = (
    kind: 'group' | 'capability' | 'beside',
    names: Iterable<string>,
    shared: (m: FleetMachine, name: string) => boolean,
  ): Extract<Reason, { have: number }>[] => {
    const found = [...names].map((name) => {
      const among = others.filter((m) => shared(m, name));
      return { kind, name, have: count(among, has), of: among.length };
    });
    const telling = found.filter((s) => s.have >= MIN_MACHINES && s.have / s.of >= MIN_SHARE);
    return telling
      .sort((a, b) => b.have / b.of - a.have / a.of || b.of - a.of || (a.name < b.name ? -1 : 1))
      .slice(0, 1);
  };
  return [
    ...best('group', target.groups, (m, g) => m.groups.includes(g)),
    ...best('capability', target.capabilities, (m, c) => m.capabilities.includes(c)),
    ...best('beside', target.installed, (m, p) => m.installed.has(p)),
  ].sort((a, b) => b.have / b.of - a.have / a.of);
}

/** What the plugin itself says of machines like the target. */
function own(target: FleetMachine, offer: Offer): Reason[] {
  const groups = offer.machineGroups.filter((g) => target.groups.includes(g));
  const needs = offer.requiredCapabilities.filter((c) => target.capabilities.includes(c));
  return [
    ...(groups.length > 0 ? [{ kind: 'made_for' as const, names: groups }] : []),
    ...(needs.length > 0 ? [{ kind: 'needs' as const, names: needs }] : []),
  ];
}

function count<T>(list: readonly T[], is: (item: T) => boolean): number {
  return list.reduce((n, item) => n + (is(item) ? 1 : 0), 0);
}

/** A reason as a sentence. */
export function reasonText(reason: Reason): string {
  if (reason.kind === 'made_for') return `made for ${plural('group', reason.names)}`;
  if (reason.kind === 'needs') return `needs ${plural('the capability', reason.names)}, which this machine has`;
  const { have, of, name } = reason;
  const among = {
    group: `in the group ${name}`,
    capability: `with the capability ${name}`,
    beside: `that have ${name}`,
  };
  return `${have} of the ${of} other machines ${among[reason.kind]} have it`;
}

const plural = (word: string, names: readonly string[]): string =>
  names.length === 1 ? `${word} ${names[0]}` : `${word.replace(/y$/, 'ie')}s ${names.join(', ')}`;
