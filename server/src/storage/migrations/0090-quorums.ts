import { type Kysely, type Migration, sql } from 'kysely';
import { columnTypes, type EngineName } from '../dialect.ts';

/** Groups that take a version only after several operators approved it, and who approved which bytes. */
export function quorums(engine: EngineName): Migration {
  const { integer } = columnTypes(engine);
  return {
    async up(db: Kysely<unknown>): Promise<void> {
      await db.schema
        .createTable('group_quorums')
        .addColumn('group', 'text', (c) => c.primaryKey())
        .addColumn('approvals', integer, (c) => c.notNull())
        .addColumn('by', 'text', (c) => c.notNull())
        .addColumn('at', 'text', (c) => c.notNull())
        .execute();
      await db.schema
        .createTable('approval_votes')
        .addColumn('digest', 'text', (c) => c.notNull())
        .addColumn('by', 'text', (c) => c.notNull())
        .addColumn('plugin_id', 'text', (c) => c.notNull())
        .addColumn('at', 'text', (c) => c.notNull())
        .addColumn('envelope', 'text')
        .addPrimaryKeyConstraint('pk_approval_votes', ['digest', 'by'])
        .execute();
      // What one operator said before counts as one of several.
      await sql`insert into approval_votes (digest, "by", plugin_id, at, envelope)
        select digest, "by", plugin_id, at, envelope from approvals where true on conflict do nothing`.execute(db);
    },
  };
}
