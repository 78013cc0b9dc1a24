import type { Kysely } from 'kysely';

/** The public half of the key that each machine made when it joined. Those that joined before have none until they join again. */
export const machineKeys = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('machine_keys')
      .addColumn('machine_id', 'text', (c) => c.primaryKey())
      .addColumn('public_key', 'text', (c) => c.notNull())
      .addColumn('at', 'text', (c) => c.notNull())
      .execute();
  },
};
