import type { Kysely, Migration } from 'kysely';

/** A version that was deprecated before it was yanked is deprecated again when the yank is lifted. */
export const yankedAdvice: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('plugins').addColumn('deprecated_before', 'text').execute();
  },
};
