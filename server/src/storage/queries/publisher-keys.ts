import { inChunks } from '../chunks.ts';
import type { PublisherKeysTable, Tx } from '../tables/index.ts';

/** Everything known of a key: one row for each token that has used it. */
export async function findPublisherKey(tx: Tx, keyid: string): Promise<PublisherKeysTable[]> {
  return tx.selectFrom('publisher_keys').selectAll().where('keyid', '=', keyid).execute();
}

/** The public keys behind these key ids. */
export async function publicKeysOf(tx: Tx, keyids: readonly string[]): Promise<Map<string, string>> {
  const rows = await inChunks(keyids, (chunk) =>
    tx.selectFrom('publisher_keys').select(['keyid', 'public_key']).where('keyid', 'in', chunk).execute(),
  );
  return new Map(rows.map((r) => [r.keyid, r.public_key]));
}

/** Keeps the first row there is of this key and token. */
export async function addPublisherKey(tx: Tx, key: Omit<PublisherKeysTable, 'revoked_at'>): Promise<void> {
  await tx
    .insertInto('publisher_keys')
    .values({ ...key, revoked_at: null })
    .onConflict((oc) => oc.columns(['keyid', 'token_id']).doNothing())
    .execute();
}
