import type { CreateTableBuilder, Kysely, Migration } from 'kysely';
import { columnTypes, type EngineName } from '../dialect.ts';

const WHAT = ['plugin_name', 'version', 'kind', 'component'] as const;

/** What is used: by machine for a while, by group and day for good. */
export function usage(engine: EngineName): Migration {
  const { integer } = columnTypes(engine);
  return {
    async up(db: Kysely<unknown>): Promise<void> {
      const columns = (table: string, more: readonly string[]) =>
        [...more, ...WHAT, 'day'].reduce<CreateTableBuilder<string, string>>(
          (create, column) => create.addColumn(column, 'text', (c) => c.notNull()),
          db.schema.createTable(table),
        );
      await columns('usage_counts', ['machine_id', 'session'])
        .addColumn('count', integer, (c) => c.notNull())
        .addPrimaryKeyConstraint('pk_usage_counts', ['machine_id', 'session', ...WHAT, 'day'])
        .execute();
      await columns('usage_days', ['group_name'])
        .addColumn('count', integer, (c) => c.notNull())
        .addPrimaryKeyConstraint('pk_usage_days', [...WHAT, 'group_name', 'day'])
        .execute();
      for (const table of ['usage_counts', 'usage_days']) {
        await db.schema.createIndex(`ix_${table}_day`).on(table).column('day').execute();
      }
    },
  };
}
