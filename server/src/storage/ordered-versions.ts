import { sql } from 'kysely';
import semverValid from 'semver/functions/valid.js';
import { pluginId } from '../domain/version-record.ts';
import type { Tx } from './tables.ts';

/** Remembers that an operator ordered a version for machines; a range that is no exact version orders none that is only registered. */
export async function rememberOrder(tx: Tx, machineIds: readonly string[], name: string, range: string): Promise<void> {
  const version = semverValid(range);
  if (version === null || machineIds.length === 0) return;
  const plugin_id = pluginId(name, version);
  await tx
    .insertInto('ordered_versions')
    .values(machineIds.map((machine_id) => ({ machine_id, plugin_id })))
    .onConflict((oc) => oc.columns(['machine_id', 'plugin_id']).doNothing())
    .execute();
}

/** For a database that remembered no orders: those in force, and what machines had of registered versions until then. */
export async function assumeOrders(tx: Tx): Promise<void> {
  await sql`insert into ordered_versions (machine_id, plugin_id)
    select machine_id, 'plugin_' || plugin_name || '_' || "range" from overrides
      where by_operator = 1 and kind <> 'exclude'
    union
    select i.machine_id, i.plugin_id from plugin_installations i
      join plugins p on p.id = i.plugin_id where p.status = 'registered'`.execute(tx);
}
