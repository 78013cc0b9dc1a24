import type { Kysely, Migration } from 'kysely';
import { columnTypes, type EngineName } from '../dialect.ts';

/** Memories, broadcasts, tasks and roles of the collective. */
export function collective(engine: EngineName): Migration {
  const { integer } = columnTypes(engine);
  return {
    async up(db: Kysely<unknown>): Promise<void> {
      const create = (table: string) => db.schema.createTable(table);
      await create('memories')
        .addColumn('id', 'text', (c) => c.primaryKey())
        .addColumn('rev', integer, (c) => c.notNull())
        .addColumn('content', 'text', (c) => c.notNull())
        .addColumn('category', 'text', (c) => c.notNull())
        .addColumn('tags', 'text', (c) => c.notNull())
        .addColumn('project', 'text')
        .addColumn('importance', integer, (c) => c.notNull())
        .addColumn('visibility', 'text', (c) => c.notNull())
        .addColumn('groups', 'text', (c) => c.notNull())
        .addColumn('machine_id', 'text')
        .addColumn('author', 'text', (c) => c.notNull())
        .addColumn('created_at', 'text', (c) => c.notNull())
        .addColumn('updated_at', 'text', (c) => c.notNull())
        .addColumn('expires_at', 'text')
        .addColumn('forgotten', integer, (c) => c.notNull())
        .execute();
      await create('broadcasts')
        .addColumn('id', 'text', (c) => c.primaryKey())
        .addColumn('rev', integer, (c) => c.notNull())
        .addColumn('content', 'text', (c) => c.notNull())
        .addColumn('category', 'text', (c) => c.notNull())
        .addColumn('severity', 'text', (c) => c.notNull())
        .addColumn('groups', 'text', (c) => c.notNull())
        .addColumn('machine_id', 'text')
        .addColumn('author', 'text', (c) => c.notNull())
        .addColumn('created_at', 'text', (c) => c.notNull())
        .addColumn('expires_at', 'text', (c) => c.notNull())
        .execute();
      await create('acknowledgements')
        .addColumn('item_id', 'text', (c) => c.notNull())
        .addColumn('machine_id', 'text', (c) => c.notNull())
        .addColumn('at', 'text', (c) => c.notNull())
        .addPrimaryKeyConstraint('pk_acknowledgements', ['item_id', 'machine_id'])
        .execute();
      await create('tasks')
        .addColumn('id', 'text', (c) => c.primaryKey())
        .addColumn('rev', integer, (c) => c.notNull())
        .addColumn('title', 'text', (c) => c.notNull())
        .addColumn('description', 'text', (c) => c.notNull())
        .addColumn('required_capabilities', 'text', (c) => c.notNull())
        .addColumn('groups', 'text', (c) => c.notNull())
        .addColumn('machine', 'text')
        .addColumn('priority', integer, (c) => c.notNull())
        .addColumn('status', 'text', (c) => c.notNull())
        .addColumn('from_machine_id', 'text')
        .addColumn('author', 'text', (c) => c.notNull())
        .addColumn('claimed_by', 'text')
        .addColumn('claimed_name', 'text')
        .addColumn('attempt', integer, (c) => c.notNull())
        .addColumn('max_attempts', integer, (c) => c.notNull())
        .addColumn('lease_until', 'text')
        .addColumn('deadline_at', 'text')
        .addColumn('progress', 'text', (c) => c.notNull())
        .addColumn('result', 'text', (c) => c.notNull())
        .addColumn('reason', 'text', (c) => c.notNull())
        .addColumn('created_at', 'text', (c) => c.notNull())
        .addColumn('updated_at', 'text', (c) => c.notNull())
        .execute();
      await create('agents')
        .addColumn('machine_id', 'text', (c) => c.primaryKey())
        .addColumn('role', 'text', (c) => c.notNull())
        .addColumn('about', 'text', (c) => c.notNull())
        .addColumn('updated_at', 'text', (c) => c.notNull())
        .execute();
      const index = (name: string, table: string, columns: string[]) =>
        db.schema.createIndex(name).on(table).columns(columns).execute();
      await index('ix_memories_rev', 'memories', ['rev']);
      await index('ix_broadcasts_expires', 'broadcasts', ['expires_at']);
      await index('ix_broadcasts_machine', 'broadcasts', ['author', 'created_at']);
      await index('ix_tasks_status', 'tasks', ['status', 'lease_until']);
      await index('ix_tasks_claimed', 'tasks', ['claimed_by', 'status']);
    },
  };
}
