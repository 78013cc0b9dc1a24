import type { Kysely, Migration } from 'kysely';

/** A task may be for machines of one role. */
export const taskRole: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('tasks').addColumn('role', 'text').execute();
  },
};
