import { inChunks } from '../chunks.ts';
import type { BroadcastsTable, MemoriesTable, TasksTable } from '../tables/collective.ts';
import type { Tx } from '../tables/index.ts';
import { nextCounter } from './meta.ts';

const COUNTER = 'collective';
const INBOX_COUNTER = 'inbox';

/** The next number of the collective's changes; holds its row until the commit, so that changes come one after another. */
export function nextRevision(tx: Tx): Promise<number> {
  return nextCounter(tx, COUNTER);
}

/** Says that inboxes may have changed. */
export async function raiseInboxRevision(tx: Tx): Promise<void> {
  await nextCounter(tx, INBOX_COUNTER);
}

/** As long as it stays, nobody's inbox has changed by anybody's doing; 0 at the start. */
export async function inboxRevision(tx: Tx): Promise<number> {
  const row = await tx.selectFrom('counters').select('value').where('name', '=', INBOX_COUNTER).executeTakeFirst();
  return row?.value ?? 0;
}

/** Memories of the next revisions after `rev`, whole revisions, forgotten ones among them. @param most rows wanted at least */
export async function memoriesAfter(tx: Tx, rev: number, most: number): Promise<MemoriesTable[]> {
  const last = await tx
    .selectFrom('memories')
    .select('rev')
    .where('rev', '>', rev)
    .orderBy('rev')
    .limit(most)
    .execute();
  const until = last.at(-1)?.rev;
  if (until === undefined) return [];
  return await tx
    .selectFrom('memories')
    .selectAll()
    .where('rev', '>', rev)
    .where('rev', '<=', until)
    .orderBy('rev')
    .execute();
}

export async function findMemory(tx: Tx, id: string): Promise<MemoriesTable | undefined> {
  return await tx.selectFrom('memories').selectAll().where('id', '=', id).executeTakeFirst();
}

export async function insertMemories(tx: Tx, rows: readonly MemoriesTable[]): Promise<void> {
  await inChunks(rows, async (chunk) => {
    await tx
      .insertInto('memories')
      .values([...chunk])
      .execute();
    return [];
  });
}

export async function memoriesWithIds(tx: Tx, ids: readonly string[]): Promise<MemoriesTable[]> {
  return await inChunks(ids, (chunk) =>
    tx
      .selectFrom('memories')
      .selectAll()
      .where('id', 'in', [...chunk])
      .execute(),
  );
}

export async function updateMemory(tx: Tx, id: string, set: Partial<MemoriesTable>): Promise<void> {
  await tx.updateTable('memories').set(set).where('id', '=', id).execute();
}

export async function findBroadcast(tx: Tx, id: string): Promise<BroadcastsTable | undefined> {
  return await tx.selectFrom('broadcasts').selectAll().where('id', '=', id).executeTakeFirst();
}

/** Broadcasts that have not expired, newest first. */
export async function currentBroadcasts(tx: Tx, now: string): Promise<BroadcastsTable[]> {
  return await tx
    .selectFrom('broadcasts')
    .selectAll()
    .where('expires_at', '>', now)
    .orderBy('rev', 'desc')
    .limit(1000)
    .execute();
}

/** When a sender's broadcasts since `since` were made, oldest first. */
export async function broadcastTimes(tx: Tx, author: string, since: string): Promise<string[]> {
  const rows = await tx
    .selectFrom('broadcasts')
    .select('created_at')
    .where('author', '=', author)
    .where('created_at', '>', since)
    .orderBy('created_at')
    .execute();
  return rows.map((r) => r.created_at);
}

/** Which of the items a machine has acknowledged. */
export async function acknowledgedOf(tx: Tx, machineId: string, ids: readonly string[]): Promise<Set<string>> {
  const found = await inChunks(ids, async (chunk) =>
    (
      await tx
        .selectFrom('acknowledgements')
        .select('item_id')
        .where('machine_id', '=', machineId)
        .where('item_id', 'in', [...chunk])
        .execute()
    ).map((r) => r.item_id),
  );
  return new Set(found);
}

/** How many machines have acknowledged each item. */
export async function acknowledgementCounts(tx: Tx, ids: readonly string[]): Promise<Map<string, number>> {
  const rows = await inChunks(ids, async (chunk) =>
    tx
      .selectFrom('acknowledgements')
      .select((eb) => ['item_id', eb.fn.countAll().as('count')])
      .where('item_id', 'in', [...chunk])
      .groupBy('item_id')
      .execute(),
  );
  return new Map(rows.map((r) => [r.item_id, Number(r.count)]));
}

export async function acknowledge(tx: Tx, machineId: string, ids: readonly string[], at: string): Promise<void> {
  for (const item_id of ids) {
    await tx
      .insertInto('acknowledgements')
      .values({ item_id, machine_id: machineId, at })
      .onConflict((oc) => oc.columns(['item_id', 'machine_id']).doNothing())
      .execute();
  }
}

export async function findTask(tx: Tx, id: string): Promise<TasksTable | undefined> {
  return await tx.selectFrom('tasks').selectAll().where('id', '=', id).executeTakeFirst();
}

export async function updateTaskRow(tx: Tx, id: string, set: Partial<TasksTable>): Promise<void> {
  await tx.updateTable('tasks').set(set).where('id', '=', id).execute();
}

/** Tasks that the clock has decided on: a lease or a deadline ran out. */
export async function lapsedTasks(tx: Tx, now: string): Promise<TasksTable[]> {
  return await tx
    .selectFrom('tasks')
    .selectAll()
    .where('status', 'in', ['open', 'claimed'])
    .where((eb) =>
      eb.or([eb.and([eb('status', '=', 'claimed'), eb('lease_until', '<', now)]), eb('deadline_at', '<', now)]),
    )
    .execute();
}

/** Open tasks, the most urgent and oldest first. */
export async function openTasks(tx: Tx): Promise<TasksTable[]> {
  return await tx
    .selectFrom('tasks')
    .selectAll()
    .where('status', '=', 'open')
    .orderBy('priority', 'desc')
    .orderBy('created_at')
    .limit(1000)
    .execute();
}

/** What a machine announced that it is for; empty when it did not. */
export async function roleOf(tx: Tx, machineId: string): Promise<string> {
  const row = await tx.selectFrom('agents').select('role').where('machine_id', '=', machineId).executeTakeFirst();
  return row?.role ?? '';
}

/** How many tasks each machine has claimed. */
export async function taskLoads(tx: Tx): Promise<Map<string, number>> {
  const rows = await tx
    .selectFrom('tasks')
    .select((eb) => ['claimed_by', eb.fn.countAll().as('count')])
    .where('status', '=', 'claimed')
    .groupBy('claimed_by')
    .execute();
  return new Map(rows.flatMap((r) => (r.claimed_by === null ? [] : [[r.claimed_by, Number(r.count)]])));
}
