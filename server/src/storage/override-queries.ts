import type { ExpressionBuilder } from 'kysely';
import { chunksOf } from './chunks.ts';
import { rememberOrder } from './ordered-versions.ts';
import type { Tables, Tx } from './tables.ts';

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
    let replaced = tx
      .deleteFrom('overrides')
      .where('machine_id', 'in', chunk)
      .where('plugin_name', '=', override.name)
      .where('kind', 'in', REPLACES[override.kind]);
    if (!override.byOperator) replaced = replaced.where(ownOr(override.kind));
    await replaced.execute();
    await tx
      .insertInto('overrides')
      .values(
        chunk.map((machine_id) => ({
          machine_id,
          plugin_name: override.name,
          kind: override.kind,
          range: override.range,
          force_nonce: override.forceNonce,
          by_operator: override.byOperator ? 1 : 0,
          by: override.by,
          at: override.at,
        })),
      )
      .execute();
    if (override.byOperator && override.kind !== 'exclude') {
      await rememberOrder(tx, chunk, override.name, override.range);
    }
  }
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

/** Takes overrides of one plugin away, all or of some kinds, and those of operators too unless `own`; @returns how many there were */
export async function clearOverrides(
  tx: Tx,
  machineIds: readonly string[],
  name: string,
  { kinds, own = false }: { kinds?: readonly OverrideKind[] | undefined; own?: boolean } = {},
): Promise<number> {
  let cleared = 0;
  for (const chunk of chunksOf(machineIds)) {
    let query = tx.deleteFrom('overrides').where('machine_id', 'in', chunk).where('plugin_name', '=', name);
    if (kinds !== undefined) query = query.where('kind', 'in', [...kinds]);
    if (own) query = query.where('by_operator', '=', 0);
    cleared += Number((await query.executeTakeFirst()).numDeletedRows);
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
