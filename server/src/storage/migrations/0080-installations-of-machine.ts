import type { Kysely, Migration } from 'kysely';

/**
 * One plugin on a whole fleet has as many rows of its name as there are machines: with an index of machines alone, SQLite looked
 * through all of them at every report.
 */
export const installationsOfMachine: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createIndex('idx_installations_machine_name')
      .on('plugin_installations')
      .columns(['machine_id', 'name'])
      .execute();
    await db.schema.dropIndex('idx_installations_machine').execute();
  },
};
