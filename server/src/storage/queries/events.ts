import type { Tx } from '../tables/index.ts';

export interface EventRecord {
  seq: number;
  type: string;
  at: string;
  data: Record<string, unknown>;
}

/** Writes the event of a transaction under the seq it took. */
export async function appendEvent(
  tx: Tx,
  seq: number,
  type: string,
  at: string,
  data: Record<string, unknown>,
): Promise<void> {
  await tx
    .insertInto('events')
    .values({ seq, type, at, data: JSON.stringify(data) })
    .execute();
}

/** Events with a greater seq, oldest first. */
export async function eventsAfter(tx: Tx, seq: number, limit: number): Promise<EventRecord[]> {
  const rows = await tx.selectFrom('events').selectAll().where('seq', '>', seq).orderBy('seq').limit(limit).execute();
  return rows.map((r) => ({ seq: r.seq, type: r.type, at: r.at, data: JSON.parse(r.data) as Record<string, unknown> }));
}
