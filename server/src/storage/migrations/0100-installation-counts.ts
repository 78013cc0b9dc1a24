import type { Kysely, Migration } from 'kysely';
import { columnTypes, type EngineName } from '../dialect.ts';
import { recount } from '../queries/installation-counts.ts';
import type { Tx } from '../tables/index.ts';

/** On how many machines each plugin is, for lists: counting ten thousand machines at each would keep everybody waiting. */
export function installationCounts(engine: EngineName): Migration {
  const { integer } = columnTypes(engine);
  return {
    async up(db: Kysely<unknown>): Promise<void> {
      await db.schema
        .createTable('installation_counts')
        .addColumn('name', 'text', (c) => c.primaryKey())
        .addColumn('machines', integer, (c) => c.notNull())
        .execute();
      await recount(db as unknown as Tx);
    },
  };
}
