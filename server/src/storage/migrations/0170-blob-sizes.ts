import type { Kysely, Migration } from 'kysely';

/** A blob's size stands in a row with its bytes: to add all up, SQLite read a page of each, at every look at the metrics. */
export const blobSizes: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.createIndex('idx_blobs_size').on('blobs').column('size').execute();
  },
};
