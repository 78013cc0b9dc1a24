import type { Kysely, Migration } from 'kysely';

/** That a machine refuses this hub's plans, and why, as JSON; null where it follows them. */
export const refusedPlans: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('machines').addColumn('refused', 'text').execute();
  },
};
