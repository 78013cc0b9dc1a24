import type { UseCase } from '../context.ts';
import { searchIndexOf } from '../search.ts';
import { summaries, visibleHeads } from './list.ts';
import { loadCatalogue } from './snapshot.ts';

/** Plugins by words, best first; deprecated ones come last. */
export const search: UseCase<'search'> = async (hub, call) => {
  const { principal, body } = call;
  const catalogue = await loadCatalogue(hub.store);
  const heads = new Map(visibleHeads(catalogue, principal, body).map((v) => [v.name, v]));
  const index = await searchIndexOf(hub.store, catalogue);
  const hits = index
    .search([body.search_query, ...body.keywords].join(' '))
    .filter((hit) => heads.has(hit.name))
    .sort((a, b) => Number(isDeprecated(a.name)) - Number(isDeprecated(b.name)))
    .slice(0, body.limit);
  const found = hits.flatMap((hit) => heads.get(hit.name) ?? []);
  const shown = await summaries(hub, found);
  const results = shown.map((summary, i) => ({
    ...summary,
    score: hits[i]?.score ?? 0,
    reason: hits[i]?.reason ?? '',
  }));
  return { results, backend: 'builtin' };

  function isDeprecated(name: string): boolean {
    return heads.get(name)?.status === 'deprecated';
  }
};
