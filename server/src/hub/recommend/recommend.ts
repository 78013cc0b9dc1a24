import type { MachineFacts } from '../../domain/desired/registry.ts';
import { HaiveError } from '../../domain/errors.ts';
import { CORE } from '../../domain/names.ts';
import { type Advice, recommend as fromFleet, type Reason, reasonText } from '../../domain/recommend.ts';
import { machinesUsing, sumKey, sumUsage } from '../../storage/queries/usage.ts';
import type { HubContext, Principal, UseCase } from '../context.ts';
import { discoveryOf } from '../discovery/discovery-of.ts';
import { loadMachineFacts } from '../machines/facts.ts';
import { reachMachine } from '../machines/machines.ts';
import { listedHead, summaries } from '../registry/list.ts';
import { type Catalogue, type CatalogueVersion, loadCatalogue } from '../registry/snapshot.ts';
import { COUNTS_KEPT_DAYS, daysBefore } from '../usage/days.ts';
import { loadFleet } from './fleet.ts';
import { type Offers, openOffers } from './offers.ts';
import { unusedOn } from './unused.ts';

/** Words that name a machine's role weigh less than what machines like it really have. */
const WORDS_WEIGHT = 0.2;
const MIN_WORDS_SCORE = 0.15;
const POPULAR = 5;

interface Line {
  kind: Reason['kind'] | 'words';
  text: string;
  name?: string;
  names?: string[];
  have?: number;
  of?: number;
}
interface Advised {
  name: string;
  score: number;
  reasons: Line[];
}

/** Advice for a machine, for a task in words, or for what an agent can do; each with reasons that are true of the fleet. */
export const recommend: UseCase<'recommend'> = async (hub, { principal, body }) => {
  const ref = body.machine ?? (principal.machineId === null ? undefined : 'me');
  const machine = ref === undefined ? undefined : await reachMachine(hub.store.read, principal, ref);
  const { task, capabilities } = body;
  if (machine === undefined && task === undefined && capabilities === undefined) {
    throw new HaiveError('BAD_REQUEST', 'Advice for whom? Name a machine, a task or capabilities', {
      hint: 'Say what is to be done, such as `hv recommend "find slow queries"`, or, as operator, `--machine NAME`.',
    });
  }
  const catalogue = await loadCatalogue(hub.store);
  const facts = machine && (await loadMachineFacts(hub.store.read, machine.id));
  const offers = openOffers(catalogue, principal, facts);
  let weak = false;
  let advised: Advised[];
  if (task !== undefined || capabilities !== undefined) {
    const asked = { text: [task, ...(capabilities ?? [])].join(' ').trim(), keywords: body.keywords };
    const found = await byWords(hub, catalogue, offers, asked, body.limit * 2);
    weak = task !== undefined && found.weak;
    advised =
      capabilities === undefined ? found.advised : withCapabilities(catalogue, offers, capabilities, found.advised);
  } else advised = await forMachine(hub, catalogue, offers, facts as MachineFacts);
  const kept: Advised[] = [];
  for (const one of advised) {
    if (kept.length === body.limit) break;
    if (one.name !== CORE && offers.comes(one.name)) kept.push(one);
  }
  const shown = await summaries(
    hub,
    kept.map((one) => offers.head(one.name) as CatalogueVersion),
  );
  return {
    machine: machine?.name ?? null,
    recommendations: shown.map((summary, i) => {
      const { score = 0, reasons = [] } = kept[i] ?? {};
      const reason = reasons.slice(0, 2).map((r) => r.text);
      return { ...summary, score: Math.round(score * 1000) / 1000, reason: reason.join('; '), reasons };
    }),
    weak,
    unused: machine === undefined ? [] : await unusedOn(hub, catalogue, machine.id),
    popular: await popular(hub, catalogue, principal),
  };
};

async function forMachine(
  hub: HubContext,
  catalogue: Catalogue,
  offers: Offers,
  facts: MachineFacts,
): Promise<Advised[]> {
  const fleet = await loadFleet(hub.store);
  const target = { ...facts, installed: new Set(facts.installed.map((p) => p.name)) };
  const heads = [...catalogue.plugins.keys()].flatMap((name) => offers.head(name) ?? []);
  const known = new Map<string, Advised>();
  for (const advice of fromFleet(target, fleet, heads)) known.set(advice.name, fromAdvice(advice));
  const role = [...facts.groups, ...facts.capabilities].join(' ').replaceAll('_', ' ');
  if (role !== '') {
    const { advised } = await byWords(hub, catalogue, offers, { text: role, keywords: [] }, 20);
    for (const { name, score, reasons } of advised) {
      if (score < MIN_WORDS_SCORE) continue;
      const one = known.get(name) ?? { name, score: 0, reasons: [] };
      const speaks = reasons.map((r) => ({ ...r, text: `speaks of this machine's role (${r.text})` }));
      known.set(name, { name, score: one.score + WORDS_WEIGHT * score, reasons: [...one.reasons, ...speaks] });
    }
  }
  return [...known.values()].sort(byScore);
}

const byScore = (a: Advised, b: Advised): number => b.score - a.score || (a.name < b.name ? -1 : 1);

function fromAdvice({ name, score, reasons }: Advice): Advised {
  return { name, score, reasons: reasons.map((reason) => ({ ...reason, text: reasonText(reason) })) };
}

async function byWords(
  hub: HubContext,
  catalogue: Catalogue,
  offers: Offers,
  asked: { text: string; keywords: readonly string[] },
  limit: number,
): Promise<{ advised: Advised[]; weak: boolean }> {
  const { hits, weak } = await discoveryOf(hub).find(catalogue, {
    ...asked,
    limit,
    filter: (name) => name !== CORE && offers.head(name) !== undefined,
  });
  return {
    advised: hits.map(({ name, score, reason }) => ({ name, score, reasons: [{ kind: 'words', text: reason }] })),
    weak,
  };
}

/** Plugins that ask for exactly what the agent can do come before those that only speak of it. */
function withCapabilities(
  catalogue: Catalogue,
  offers: Offers,
  capabilities: readonly string[],
  found: readonly Advised[],
): Advised[] {
  const known = new Map(found.map((one) => [one.name, one]));
  for (const name of catalogue.plugins.keys()) {
    const needs = offers.head(name)?.requiredCapabilities ?? [];
    if (needs.length === 0 || !needs.every((c) => capabilities.includes(c))) continue;
    const one = known.get(name) ?? { name, score: 0, reasons: [] };
    const text = `needs ${needs.join(', ')}, which was asked for`;
    known.set(name, {
      name,
      score: Math.min(1, one.score + 0.5),
      reasons: [{ kind: 'needs', text, names: needs }, ...one.reasons],
    });
  }
  return [...known.values()].sort(byScore);
}

/** What most machines used lately. */
async function popular(hub: HubContext, catalogue: Catalogue, principal: Principal) {
  const since = daysBefore(hub.clock(), COUNTS_KEPT_DAYS);
  const head = listedHead(catalogue, principal, { status: 'published' });
  const machines = await machinesUsing(hub.store.read, { by: 'plugin', since });
  const sums = await sumUsage(hub.store.read, { by: 'plugin', since, limit: 200 });
  return sums
    .flatMap((row) => {
      const version = head(row.plugin_name ?? '');
      if (version === undefined || version.name === CORE) return [];
      const { name, version: number, description } = version;
      return [{ name, version: number, description, machines: machines.get(sumKey(row)) ?? 0, uses: row.uses }];
    })
    .sort((a, b) => b.machines - a.machines || b.uses - a.uses)
    .slice(0, POPULAR);
}
