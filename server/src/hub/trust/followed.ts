import { HaiveError } from '../../domain/errors.ts';
import { type Place, whyNotFollowed } from '../../domain/plan/lineage.ts';
import type { HubContext } from '../context.ts';
import { loadCatalogue } from '../registry/snapshot.ts';
import { trustWord } from './word.ts';

/**
 * Keeps an order from whoever would not follow the plan that comes of it: it would wait here, and be carried out when nobody thinks of it.
 * @param followed where the one who orders is in this hub's history; undefined: it does not say
 * @throws HaiveError PLAN_REPLAYED
 */
export async function requireFollower(
  { store }: Pick<HubContext, 'store'>,
  followed: Place | undefined,
): Promise<void> {
  if (followed === undefined) return;
  const catalogue = await loadCatalogue(store);
  const { epoch, lineage } = await trustWord(store, catalogue);
  const why = whyNotFollowed({ epoch, counter: catalogue.seq, lineage }, followed);
  if (why !== null) throw new HaiveError('PLAN_REPLAYED', `The hub's ${why}; nothing was ordered`);
}
