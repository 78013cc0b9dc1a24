import type { Kysely, Migration } from 'kysely';

/** Where a version's bytes came from: an address, a commit, a folder of an import. */
export function origins(): Migration {
  return {
    async up(db: Kysely<unknown>): Promise<void> {
      await db.schema
        .createTable('plugin_origins')
        .addColumn('plugin_id', 'text', (c) => c.primaryKey())
        .addColumn('origin', 'text', (c) => c.notNull())
        .execute();
    },
  };
}
