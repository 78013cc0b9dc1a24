import type { Kysely, Migration } from 'kysely';
import { columnTypes, type EngineName } from '../dialect.ts';

/** Surfaces, approvals, revocations, statements of keys, and what limits a token. */
export function trust(engine: EngineName): Migration {
  const { integer } = columnTypes(engine);
  return {
    async up(db: Kysely<unknown>): Promise<void> {
      const create = (table: string) => db.schema.createTable(table);
      await create('plugin_surfaces')
        .addColumn('plugin_id', 'text', (c) => c.primaryKey())
        .addColumn('digest', 'text', (c) => c.notNull())
        .addColumn('surface', 'text', (c) => c.notNull())
        .addColumn('code', 'text', (c) => c.notNull())
        .execute();
      await create('approvals')
        .addColumn('digest', 'text', (c) => c.primaryKey())
        .addColumn('plugin_id', 'text', (c) => c.notNull())
        .addColumn('by', 'text', (c) => c.notNull())
        .addColumn('at', 'text', (c) => c.notNull())
        .addColumn('envelope', 'text')
        .execute();
      await create('held_publications')
        .addColumn('plugin_id', 'text', (c) => c.primaryKey())
        .addColumn('targets', 'text', (c) => c.notNull())
        .addColumn('notify', integer, (c) => c.notNull())
        .addColumn('by', 'text', (c) => c.notNull())
        .addColumn('at', 'text', (c) => c.notNull())
        .execute();
      await create('revocations')
        .addColumn('plugin_id', 'text', (c) => c.primaryKey())
        .addColumn('name', 'text', (c) => c.notNull())
        .addColumn('version', 'text', (c) => c.notNull())
        .addColumn('digest', 'text', (c) => c.notNull())
        .addColumn('reason', 'text', (c) => c.notNull())
        .addColumn('by', 'text', (c) => c.notNull())
        .addColumn('at', 'text', (c) => c.notNull())
        .execute();
      await create('revocation_holders')
        .addColumn('plugin_id', 'text', (c) => c.notNull())
        .addColumn('machine_id', 'text', (c) => c.notNull())
        .addColumn('machine', 'text', (c) => c.notNull())
        .addColumn('since', 'text', (c) => c.notNull())
        .addColumn('confirmed_at', 'text')
        .addPrimaryKeyConstraint('pk_revocation_holders', ['plugin_id', 'machine_id'])
        .execute();
      await db.schema
        .createIndex('ix_revocation_holders_machine')
        .on('revocation_holders')
        .column('machine_id')
        .execute();
      await create('key_statements')
        .addColumn('keyid', 'text', (c) => c.primaryKey())
        .addColumn('envelope', 'text', (c) => c.notNull())
        .addColumn('at', 'text', (c) => c.notNull())
        .execute();
      await create('token_limits')
        .addColumn('token_id', 'text', (c) => c.primaryKey())
        .addColumn('max_uses', integer)
        .addColumn('uses', integer, (c) => c.notNull())
        .addColumn('groups', 'text')
        .execute();
    },
  };
}
