import type { Kysely, Migration } from 'kysely';
import { assumeOrders } from '../queries/ordered-versions.ts';
import type { Tables } from '../tables/index.ts';

/** Which versions operators ordered for which machines: what a machine says it has is no order. */
export const orderedVersions: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('ordered_versions')
      .addColumn('machine_id', 'text', (c) => c.notNull().references('machines.id').onDelete('cascade'))
      .addColumn('plugin_id', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('pk_ordered_versions', ['machine_id', 'plugin_id'])
      .execute();
    await assumeOrders(db as Kysely<Tables>);
  },
};
