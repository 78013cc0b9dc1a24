import type { ExpressionBuilder } from 'kysely';
import { chunksOf } from '../chunks.ts';
import type { Tables, Tx } from '../tables/index.ts';
import { rememberOrders } from './ordered-versions.ts';

export type OverrideKind = 'install' | 'pin' | 'hold' | 'exclude';

/** The kinds that say that a machine is to have a plugin. */
export const WISHES: readonly OverrideKind[] = ['install', 'pin', 'hold'];

export interface OverrideRecord {
  machineId: string;
  name: string;
  kind: OverrideKind;
  /** semver range or exact version; `*` floats. */
  range: string;
  /** Changes with each forced reinstall. */
  forceNonce: string | null;
  /** An operator may install what is only registered; a machine itself may not. */
  byOperator: boolean;
  by: string;
  at: string;
}

/**
 * What a new override of each kind puts out of force: an install may be pinned or held, an excluded plugin is neither. What operators said
 * in another kind stays under a machine's own word, and holds again once that is taken back.
 */
const REPLACES: Record<OverrideKind, OverrideKind[]> = {
  install: ['install', 'exclude'],
  pin: ['pin', 'hold', 'exclude'],
  hold: ['pin', 'hold', 'exclude'],
  exclude: ['install', 'pin', 'hold', 'exclude'],
};

export async function setOverride(tx: Tx, override: OverrideRecord): Promise<void> {
  await setOverrides(tx, [override.machineId], override);
}

/** Sets the same override on many machines. */
export async function setOverrides(
  tx: Tx,
  machineIds: readonly string[],
  override: Omit<OverrideRecord, 'machineId'>,
): Promise<void> {
  for (const chunk of chunksOf(machineIds)) {
    if (override.kind === 'hold' && !override.byOperator) await keepOrderedHolds(tx, chunk, override.name);
    await clearReplaced(tx, chunk, [override.name], override);
    await insertOverrides(
      tx,
      chunk.map((machineId) => ({ ...override, machineId })),
    );
  }
}

/** Sets overrides of many plugins on one machine that differ in range and nonce alone. */
export async function setOverridesOf(
  tx: Tx,
  said: Omit<OverrideRecord, 'name' | 'range' | 'forceNonce'> & { kind: 'install' | 'exclude' },
  plugins: readonly Pick<OverrideRecord, 'name' | 'range' | 'forceNonce'>[],
): Promise<void> {
  for (const chunk of chunksOf(plugins.map((p) => p.name))) await clearReplaced(tx, [said.machineId], chunk, said);
  await insertOverrides(
    tx,
    plugins.map((plugin) => ({ ...said, ...plugin })),
  );
}

/** Writes overrides as they are, in place of none; what operators order by them is remembered. */
export async function insertOverrides(tx: Tx, overrides: readonly OverrideRecord[]): Promise<void> {
  for (const chunk of chunksOf(overrides)) {
    const rows = chunk.map((o) => ({
      machine_id: o.machineId,
      plugin_name: o.name,
      kind: o.kind,
      range: o.range,
      force_nonce: o.forceNonce,
      by_operator: o.byOperator ? 1 : 0,
      by: o.by,
      at: o.at,
    }));
    await tx.insertInto('overrides').values(rows).execute();
  }
  const orders = overrides.filter((o) => o.byOperator && o.kind !== 'exclude');
  await rememberOrders(tx, orders);
}

/** @param names at most a chunk, as `machineIds` */
async function clearReplaced(
  tx: Tx,
  machineIds: readonly string[],
  names: readonly string[],
  { kind, byOperator }: Pick<OverrideRecord, 'kind' | 'byOperator'>,
): Promise<void> {
  let replaced = tx
    .deleteFrom('overrides')
    .where('machine_id', 'in', machineIds)
    .where('plugin_name', 'in', names)
    .where('kind', 'in', REPLACES[kind]);
  if (!byOperator) replaced = replaced.where(ownOr(kind));
  await replaced.execute();
}

/** A row that no operator made, or one of this kind. */
const ownOr = (kind: OverrideKind) => (eb: ExpressionBuilder<Tables, 'overrides'>) =>
  eb.or([eb('by_operator', '=', 0), eb('kind', '=', kind)]);

/** There is one hold of a plugin: an operator's waits behind the machine's own as a pin to the same version. */
async function keepOrderedHolds(tx: Tx, machineIds: readonly string[], name: string): Promise<void> {
  const held = await tx
    .selectFrom('overrides')
    .select('machine_id')
    .where('plugin_name', '=', name)
    .where('machine_id', 'in', machineIds)
    .where('kind', '=', 'hold')
    .where('by_operator', '=', 1)
    .execute();
  const ids = held.map((row) => row.machine_id);
  if (ids.length === 0) return;
  await clearOverrides(tx, ids, name, { kinds: ['pin'] });
  await tx
    .updateTable('overrides')
    .set({ kind: 'pin' })
    .where('machine_id', 'in', ids)
    .where('plugin_name', '=', name)
    .where('kind', '=', 'hold')
    .execute();
}

/**
 * Takes overrides of a plugin, or of several, away, all or of some kinds, and those of operators too unless `own`.
 * @returns how many there were
 */
export async function clearOverrides(
  tx: Tx,
  machineIds: readonly string[],
  plugins: string | readonly string[],
  { kinds, own = false }: { kinds?: readonly OverrideKind[] | undefined; own?: boolean } = {},
): Promise<number> {
  let cleared = 0;
  for (const names of chunksOf(typeof plugins === 'string' ? [plugins] : plugins)) {
    for (const chunk of chunksOf(machineIds)) {
      let query = tx.deleteFrom('overrides').where('machine_id', 'in', chunk).where('plugin_name', 'in', names);
      if (kinds !== undefined) query = query.where('kind', 'in', [...kinds]);
      if (own) query = query.where('by_operator', '=', 0);
      cleared += Number((await query.executeTakeFirst()).numDeletedRows);
    }
  }
  return cleared;
}

/** One machine's overrides, or every machine's. */
export async function listOverrides(tx: Tx, machineId?: string): Promise<OverrideRecord[]> {
  let query = tx.selectFrom('overrides').selectAll().orderBy('machine_id').orderBy('plugin_name').orderBy('kind');
  if (machineId !== undefined) query = query.where('machine_id', '=', machineId);
  return (await query.execute()).map((r) => ({
    machineId: r.machine_id,
    name: r.plugin_name,
    kind: r.kind as OverrideKind,
    range: r.range,
    forceNonce: r.force_nonce,
    byOperator: r.by_operator === 1,
    by: r.by,
    at: r.at,
  }));
}
