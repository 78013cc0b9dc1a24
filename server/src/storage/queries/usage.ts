import { sql } from 'kysely';
import { chunksOf } from '../chunks.ts';
import type { Tx } from '../tables/index.ts';
import type { UsageCountsTable, UsageDaysTable } from '../tables/usage.ts';

/** Stands for all machines among the groups of usage_days. */
const EVERY_GROUP = '*';

type Count = Omit<UsageCountsTable, 'machine_id'>;

/**
 * Takes a machine's counts; of each only what is more than it said before is added to the sums.
 * @returns uses that were new
 */
export async function addUsage(
  tx: Tx,
  machineId: string,
  groups: readonly string[],
  counts: readonly Count[],
): Promise<number> {
  const before = await countsOf(tx, machineId, [...new Set(counts.map((c) => c.session))]);
  // In one order, so that two machines' reports do not wait for each other crosswise.
  const fresh = [...lastOfEach(counts)].sort(([a], [b]) => (a < b ? -1 : 1));
  // A machine may be in a group of that name since before groups were told what they may be called.
  const everyAnd = new Set([EVERY_GROUP, ...groups]);
  let added = 0;
  const days = new Map<string, UsageDaysTable>();
  for (const [key, row] of fresh) {
    const more = row.count - (before.get(key) ?? 0);
    if (more <= 0) continue;
    added += more;
    await tx
      .insertInto('usage_counts')
      .values({ machine_id: machineId, ...row })
      .onConflict((oc) =>
        oc
          .columns(['machine_id', 'session', 'plugin_name', 'version', 'kind', 'component', 'day'])
          .doUpdateSet({ count: row.count }),
      )
      .execute();
    const { session: _, count: __, ...what } = row;
    for (const group_name of everyAnd) {
      const dayKey = [group_name, ...whatKey(row)].join('\n');
      const day = days.get(dayKey);
      if (day === undefined) days.set(dayKey, { ...what, group_name, count: more });
      else day.count += more;
    }
  }
  for (const [, day] of [...days].sort(([a], [b]) => (a < b ? -1 : 1))) {
    await tx
      .insertInto('usage_days')
      .values(day)
      .onConflict((oc) =>
        oc
          .columns(['plugin_name', 'version', 'kind', 'component', 'group_name', 'day'])
          .doUpdateSet((eb) => ({ count: eb('usage_days.count', '+', day.count) })),
      )
      .execute();
  }
  return added;
}

const whatKey = (c: Omit<Count, 'session' | 'count'>) => [c.plugin_name, c.version, c.kind, c.component, c.day];
const keyOf = (c: Count): string => [c.session, ...whatKey(c)].join('\n');

function lastOfEach(counts: readonly Count[]): Map<string, Count> {
  const rows = new Map<string, Count>();
  for (const count of counts) {
    const key = keyOf(count);
    if ((rows.get(key)?.count ?? 0) < count.count) rows.set(key, count);
  }
  return rows;
}

async function countsOf(tx: Tx, machineId: string, sessions: readonly string[]): Promise<Map<string, number>> {
  const known = new Map<string, number>();
  for (const chunk of chunksOf(sessions)) {
    const rows = await tx
      .selectFrom('usage_counts')
      .selectAll()
      .where('machine_id', '=', machineId)
      .where('session', 'in', chunk)
      .execute();
    for (const row of rows) known.set(keyOf(row), row.count);
  }
  return known;
}

const COLUMNS = {
  plugin: ['plugin_name'],
  version: ['plugin_name', 'version'],
  component: ['plugin_name', 'kind', 'component'],
  group: ['group_name'],
  day: ['day'],
} as const;
export type UsageGrouping = keyof typeof COLUMNS;

export interface UsageQuery {
  by: UsageGrouping;
  plugin?: string | undefined;
  group?: string | undefined;
  /** YYYY-MM-DD. */
  since: string;
  limit: number;
}

export interface UsageSum {
  plugin_name?: string;
  version?: string;
  kind?: string;
  component?: string;
  group_name?: string;
  day?: string;
  uses: number;
}

/** Sums since a day, the largest first (days: the newest first). */
export async function sumUsage(tx: Tx, query: UsageQuery): Promise<UsageSum[]> {
  const columns = COLUMNS[query.by];
  let select = tx
    .selectFrom('usage_days')
    .select([...columns])
    .select((eb) => eb.fn.sum<number>('count').as('uses'))
    .where('day', '>=', query.since)
    .groupBy([...columns])
    .limit(query.limit);
  if (query.plugin !== undefined) select = select.where('plugin_name', '=', query.plugin);
  if (query.group !== undefined) select = select.where('group_name', '=', query.group);
  else if (query.by === 'group') select = select.where('group_name', '!=', EVERY_GROUP);
  else select = select.where('group_name', '=', EVERY_GROUP);
  if (query.by === 'day') select = select.orderBy('day', 'desc');
  else select = select.orderBy('uses', 'desc').orderBy(columns[0]);
  const rows = await select.execute();
  return rows.map((row) => ({ ...row, uses: Number(row.uses) }));
}

/** By plugin (and component, or version): how many machines used it since a day. */
export async function machinesUsing(
  tx: Tx,
  query: { by: 'plugin' | 'version' | 'component'; since: string; plugin?: string | undefined },
): Promise<Map<string, number>> {
  const columns = COLUMNS[query.by];
  let select = tx
    .selectFrom('usage_counts')
    .select([...columns])
    .select((eb) => eb.fn.count<number>('machine_id').distinct().as('machines'))
    .where('day', '>=', query.since)
    .groupBy([...columns]);
  if (query.plugin !== undefined) select = select.where('plugin_name', '=', query.plugin);
  const rows: UsageSum[] = (await select.execute()) as never;
  return new Map(rows.map((row) => [sumKey(row), Number((row as unknown as { machines: number }).machines)]));
}

/** Names what a sum is of, within one grouping. */
export function sumKey({ plugin_name, version, kind, component }: Partial<UsageSum>): string {
  return [plugin_name, version, kind, component].join('\n');
}

/** Since when and how often each machine used each plugin, as far as it is remembered. */
export async function usageByMachine(
  tx: Tx,
  since: string,
  machineId?: string,
): Promise<{ machine_id: string; plugin_name: string; uses: number }[]> {
  let select = tx
    .selectFrom('usage_counts')
    .select(['machine_id', 'plugin_name'])
    .select((eb) => eb.fn.sum<number>('count').as('uses'))
    .where('day', '>=', since)
    .groupBy(['machine_id', 'plugin_name']);
  if (machineId !== undefined) select = select.where('machine_id', '=', machineId);
  return (await select.execute()).map((row) => ({ ...row, uses: Number(row.uses) }));
}

export interface SessionOfVersion {
  name: string;
  version: string;
  machine: string;
  session: string;
  /** YYYY-MM-DD. */
  first_day: string;
  last_day: string;
  uses: number;
}

/** Sessions that used one of these versions, as far as is remembered; also of machines that had gone on to another since. */
export async function sessionsOfVersions(
  tx: Tx,
  versions: readonly { name: string; version: string }[],
): Promise<SessionOfVersion[]> {
  const wanted = new Set(versions.map((v) => `${v.name}@${v.version}`));
  const found: SessionOfVersion[] = [];
  for (const names of chunksOf([...new Set(versions.map((v) => v.name))])) {
    const rows = await tx
      .selectFrom('usage_counts')
      .innerJoin('machines', 'machines.id', 'usage_counts.machine_id')
      .select(['plugin_name as name', 'version', 'machines.name as machine', 'session'])
      .select((eb) => [
        eb.fn.min<string>('day').as('first_day'),
        eb.fn.max<string>('day').as('last_day'),
        eb.fn.sum<number>('count').as('uses'),
      ])
      .where('plugin_name', 'in', names)
      .groupBy(['plugin_name', 'version', 'machines.name', 'session'])
      .orderBy('last_day', 'desc')
      .orderBy('machines.name')
      .orderBy('session')
      .execute();
    for (const row of rows)
      if (wanted.has(`${row.name}@${row.version}`)) found.push({ ...row, uses: Number(row.uses) });
  }
  return found;
}

/** Forgets machines' rows before one day and sums before another. */
export async function forgetUsage(tx: Tx, before: { counts: string; days: string }): Promise<void> {
  await tx.deleteFrom('usage_counts').where('day', '<', before.counts).execute();
  await tx.deleteFrom('usage_days').where('day', '<', before.days).execute();
}

/** Forgets what a machine that is gone had used; the sums know nothing of machines. */
export async function forgetUsageOf(tx: Tx, machineId: string): Promise<void> {
  await tx.deleteFrom('usage_counts').where('machine_id', '=', machineId).execute();
}

/** Takes the machine's row, so that two reports of one machine come one after the other. */
export async function lockMachine(tx: Tx, machineId: string): Promise<void> {
  await tx.updateTable('machines').set({ id: sql`id` }).where('id', '=', machineId).execute();
}

/** The first day that something of this machine was counted, as far as is remembered. */
export async function countedSince(tx: Tx, machineId: string): Promise<string | undefined> {
  const row = await tx
    .selectFrom('usage_counts')
    .select((eb) => eb.fn.min<string | null>('day').as('day'))
    .where('machine_id', '=', machineId)
    .executeTakeFirst();
  return row?.day ?? undefined;
}
