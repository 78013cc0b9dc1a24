import type { Kysely, Migration } from 'kysely';

/** Whose a version is: a token, or one that was rotated out of it. A name may be that of several tokens, and of a machine. */
export const publisherTokens: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('plugins').addColumn('publisher_token', 'text').execute();
    await db.schema.alterTable('tokens').addColumn('origin', 'text').execute();
  },
};
