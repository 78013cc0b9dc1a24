import { installedNames } from '../../storage/queries/installations.ts';
import type { UseCase } from '../context.ts';
import { discoveryOf } from '../discovery/discovery-of.ts';
import { listedHead, searchedBy, summaries } from './list.ts';
import { type CatalogueVersion, loadCatalogue } from './snapshot.ts';

/** Plugins by words, best first; deprecated ones come last. */
export const search: UseCase<'search'> = async (hub, call) => {
  const { principal, body } = call;
  const catalogue = await loadCatalogue(hub.store);
  const head = listedHead(catalogue, principal, body);
  const installed = body.installed_only ? await installedNames(hub.store.read, principal.machineId) : undefined;
  const asked = {
    text: body.search_query,
    keywords: body.keywords,
    limit: body.limit,
    filter: (name: string) => installed?.has(name) !== false && head(name) !== undefined,
    last: (name: string) => head(name)?.status === 'deprecated',
  };
  const searched = searchedBy(catalogue, principal, body.status);
  const { hits, weak, backend, note } = await discoveryOf(hub).find(catalogue, asked, searched);
  const shown = await summaries(
    hub,
    hits.map((hit) => head(hit.name) as CatalogueVersion),
  );
  const results = shown.map((summary, i) => ({
    ...summary,
    score: hits[i]?.score ?? 0,
    reason: hits[i]?.reason ?? '',
  }));
  return { results, weak, backend, ...(note === undefined ? {} : { note }) };
};
