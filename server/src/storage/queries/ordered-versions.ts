import { sql } from 'kysely';
import semverValid from 'semver/functions/valid.js';
import { pluginId } from '../../domain/version/record.ts';
import { chunksOf } from '../chunks.ts';
import type { Tx } from '../tables/index.ts';

/** Remembers which versions an operator ordered for which machines; a range that is no exact version orders none that is only registered. */
export async function rememberOrders(
  tx: Tx,
  orders: readonly { machineId: string; name: string; range: string }[],
): Promise<void> {
  const exact = orders.flatMap(({ machineId, name, range }) => {
    const version = semverValid(range);
    return version === null ? [] : [{ machine_id: machineId, plugin_id: pluginId(name, version) }];
  });
  for (const rows of chunksOf(exact)) {
    await tx
      .insertInto('ordered_versions')
      .values(rows)
      .onConflict((oc) => oc.columns(['machine_id', 'plugin_id']).doNothing())
      .execute();
  }
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
