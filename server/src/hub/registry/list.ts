import type { Query } from '../../contract/endpoints.ts';
import { groupReaches } from '../../domain/desired/desired-state.ts';
import { HaiveError } from '../../domain/errors.ts';
import { installationCounts } from '../../storage/queries/installation-counts.ts';
import { installedNames } from '../../storage/queries/installations.ts';
import type { HubContext, Principal, UseCase } from '../context.ts';
import { OFFERED } from '../discovery/discovery.ts';
import { discoveryOf } from '../discovery/discovery-of.ts';
import type { Searched } from '../discovery/side-indexes.ts';
import { maySee, sightOf } from './access.ts';
import { headOf, isOffered } from './choose-version.ts';
import { type Catalogue, type CatalogueVersion, loadCatalogue } from './snapshot.ts';
import { toSummary } from './summary.ts';

type Filters = Pick<Query<'list'>, 'machine_group' | 'capability_filter' | 'status' | 'author' | 'component'>;

/** The newest version of each plugin, by name, or best first with a search_query. */
export const list: UseCase<'list'> = async (hub, call) => {
  const { principal, query } = call;
  const catalogue = await loadCatalogue(hub.store);
  let heads = visibleHeads(catalogue, principal, query);
  if (query.installed_only === true) {
    const installed = await installedNames(hub.store.read, principal.machineId);
    heads = heads.filter((v) => installed.has(v.name));
  }
  let page: CatalogueVersion[];
  let next: string | null;
  if (query.search_query === undefined || query.search_query.trim() === '') {
    const { after } = query;
    const rest = after === undefined ? heads : heads.filter((v) => v.name > after);
    page = rest.slice(0, query.limit);
    next = rest.length > page.length ? (page.at(-1)?.name ?? null) : null;
  } else {
    const byName = new Map(heads.map((v) => [v.name, v]));
    // Scores change with the registry, so a page of a ranking is found by its place.
    const from = placeOf(query.after);
    const asked = {
      text: query.search_query,
      limit: from + query.limit + 1,
      filter: (name: string) => byName.has(name),
      last: (name: string) => byName.get(name)?.status === 'deprecated',
    };
    const { hits } = await discoveryOf(hub).find(catalogue, asked, searchedBy(catalogue, principal, query.status));
    const ranked = hits.flatMap((hit) => byName.get(hit.name) ?? []);
    page = ranked.slice(from, from + query.limit);
    next = from + page.length < ranked.length ? String(from + page.length) : null;
  }
  return { plugins: await summaries(hub, page), next };
};

function placeOf(after: string | undefined): number {
  if (after === undefined) return 0;
  const place = Number(after);
  if (Number.isSafeInteger(place) && place >= 0) return place;
  throw new HaiveError('BAD_REQUEST', '`after` is not one that this search answered');
}

/**
 * Answers the version that stands for a plugin of this name, where this caller may see it and the filters let it through;
 * each name is looked at once.
 */
export function listedHead(
  catalogue: Catalogue,
  principal: Principal,
  filters: Filters,
): (name: string) => CatalogueVersion | undefined {
  const capabilities = filters.capability_filter
    ?.split(',')
    .map((c) => c.trim())
    .filter((c) => c !== '');
  const seen = new Map<string, CatalogueVersion | undefined>();
  return (name) => {
    if (seen.has(name)) return seen.get(name);
    const head = headOf((catalogue.plugins.get(name) ?? []).filter((v) => isListed(v, principal, filters.status)));
    const listed = head !== undefined && passes(head, filters, capabilities) ? head : undefined;
    seen.set(name, listed);
    return listed;
  };
}

/** The version that stands for each plugin this caller may see and these filters let through, by name. */
function visibleHeads(catalogue: Catalogue, principal: Principal, filters: Filters): CatalogueVersion[] {
  const head = listedHead(catalogue, principal, filters);
  const heads = [...catalogue.plugins.keys()].flatMap((name) => head(name) ?? []);
  return heads.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** What callers of one sight search with one status, by both; the plugins are the same ones while none changed. */
const searched = new WeakMap<Catalogue['plugins'], Map<string, Searched>>();

/** The versions whose texts this caller's search goes through: those that listedHead answers without other filters. */
export function searchedBy(catalogue: Catalogue, principal: Principal, status: Filters['status']): Searched {
  // Of what is offered those that are published stand for their names, so the filter leaves just them.
  if (status === 'published') return OFFERED;
  const sight = `${sightOf(principal)} ${status ?? 'offered'}`;
  const here = searched.get(catalogue.plugins) ?? new Map<string, Searched>();
  searched.set(catalogue.plugins, here);
  const known = here.get(sight) ?? { ...besideOffered(catalogue, principal, status), sight };
  here.set(sight, known);
  return known;
}

function besideOffered(catalogue: Catalogue, principal: Principal, status: Filters['status']) {
  const head = listedHead(catalogue, principal, { status });
  const offered = status === undefined;
  const others = [...catalogue.plugins].filter(([, versions]) => !offered || !versions.some(isOffered));
  return { offered, beside: others.flatMap(([name]) => head(name) ?? []) };
}

/** Lists show what is offered, and to those concerned what is registered; other statuses only where they are asked for. */
function isListed(version: CatalogueVersion, principal: Principal, status: Filters['status']): boolean {
  if (!maySee(principal, version)) return false;
  if (status !== undefined) return version.status === status;
  return version.status === 'published' || version.status === 'deprecated' || version.status === 'registered';
}

function passes(version: CatalogueVersion, filters: Filters, capabilities: string[] | undefined): boolean {
  const { machine_group: group, author, component } = filters;
  if (group !== undefined && !version.targets.some((t) => groupReaches(t.group, [group]))) return false;
  if (capabilities !== undefined && !version.requiredCapabilities.every((c) => capabilities.includes(c))) return false;
  if (author !== undefined) {
    const wanted = author.toLowerCase();
    if (version.author.toLowerCase() !== wanted && version.authorOrg?.toLowerCase() !== wanted) return false;
  }
  return component === undefined || version.components.includes(component);
}

/** Versions as lists show them, with the number of machines that have the plugin. */
export async function summaries(hub: HubContext, versions: readonly CatalogueVersion[]) {
  const counts = await installationCounts(
    hub.store.read,
    versions.map((v) => v.name),
  );
  return versions.map((v) => toSummary(v, counts.get(v.name) ?? 0));
}
