import type { Kysely, Migration } from 'kysely';

/** When what a machine reported last was read, as it says, milliseconds; null of a program that does not say. */
export const reportOrder: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('machines').addColumn('reported_as_of', 'bigint').execute();
  },
};
