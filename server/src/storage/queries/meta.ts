import { randomBytes } from 'node:crypto';
import type { Lineage } from '../../domain/plan/lineage.ts';
import type { Tx } from '../tables/index.ts';

/** Raised by a report that says something new, so that what is remembered of plans is computed again (Store.stamp). */
export const FACTS_COUNTER = 'facts';

/** A value of the hub's own (identity, epoch…), or undefined. */
export async function getMeta(tx: Tx, key: string): Promise<string | undefined> {
  const row = await tx.selectFrom('hub_meta').select('value').where('key', '=', key).executeTakeFirst();
  return row?.value;
}

export async function setMeta(tx: Tx, key: string, value: string): Promise<void> {
  await tx
    .insertInto('hub_meta')
    .values({ key, value })
    .onConflict((oc) => oc.column('key').doUpdateSet({ value }))
    .execute();
}

/** The histories that this registry went through, oldest first. */
export async function getLineage(tx: Tx): Promise<Lineage[]> {
  return JSON.parse((await getMeta(tx, 'lineage')) ?? '[]') as Lineage[];
}

/** Begins one more. @param since the `seq` up to which it is the same as the last of them */
export async function beginLineage(tx: Tx, since: number): Promise<void> {
  const begun: Lineage = [randomBytes(9).toString('base64url'), since];
  await setMeta(tx, 'lineage', JSON.stringify([...(await getLineage(tx)), begun]));
}

/** Keeps what is there, else stores `value`; answers what is there now (two hubs may start at once). */
export async function setMetaOnce(tx: Tx, key: string, value: string): Promise<string> {
  await tx
    .insertInto('hub_meta')
    .values({ key, value })
    .onConflict((oc) => oc.column('key').doNothing())
    .execute();
  return (await getMeta(tx, key)) ?? value;
}

/** Raises a named counter by one and locks its row until the commit; makes it when it is new. */
export async function nextCounter(tx: Tx, name: string): Promise<number> {
  const row = await tx
    .insertInto('counters')
    .values({ name, value: 1 })
    .onConflict((oc) => oc.column('name').doUpdateSet((eb) => ({ value: eb('counters.value', '+', 1) })))
    .returning('value')
    .executeTakeFirstOrThrow();
  return row.value;
}
