import type { Store } from '../storage/store.ts';
import { FACTS_COUNTER } from './report.ts';

/**
 * One number that grows with every change of anything a plan or a token depends on: the feed's seq plus the counter of
 * reports that said something new.
 */
export async function readStamp(store: Store): Promise<string> {
  const rows = await store.read
    .selectFrom('counters')
    .select('value')
    .where('name', 'in', ['seq', FACTS_COUNTER])
    .execute();
  return String(rows.reduce((sum, row) => sum + row.value, 0));
}
