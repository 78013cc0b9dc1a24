import type { Kysely, Migration } from 'kysely';

/** What a publisher accepted as the declaration of a plugin that declares nothing. */
export const acceptedSurfaces: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('accepted_surfaces')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('plugin_id', 'text', (c) => c.notNull())
      .addColumn('digest', 'text', (c) => c.notNull())
      .addColumn('surface', 'text', (c) => c.notNull())
      .addColumn('by', 'text', (c) => c.notNull())
      .addColumn('at', 'text', (c) => c.notNull())
      .execute();
  },
};
