import type { Kysely, Migration } from 'kysely';
import { columnTypes, type EngineName } from '../dialect.ts';

/** The seed's five tables and everything the hub keeps beside them. */
export function registry(engine: EngineName): Migration {
  const t = columnTypes(engine);
  return {
    async up(db: Kysely<unknown>): Promise<void> {
      await plugins(db, t);
      await machines(db, t);
      await journal(db, t);
    },
  };
}

type Types = ReturnType<typeof columnTypes>;

async function plugins(db: Kysely<unknown>, t: Types): Promise<void> {
  const create = (table: string) => db.schema.createTable(table);
  await create('blobs')
    .addColumn('sha256', 'text', (c) => c.primaryKey())
    .addColumn('size', t.integer, (c) => c.notNull())
    .addColumn('encoding', 'text', (c) => c.notNull())
    .addColumn('data', t.bytes, (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .execute();
  await create('plugins')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('version', 'text', (c) => c.notNull())
    .addColumn('description', 'text', (c) => c.notNull())
    .addColumn('author_name', 'text', (c) => c.notNull())
    .addColumn('author_org', 'text')
    .addColumn('manifest', 'text', (c) => c.notNull())
    .addColumn('original_manifest', 'text')
    .addColumn('checksum', 'text', (c) => c.notNull())
    .addColumn('record', 'text', (c) => c.notNull())
    .addColumn('publisher', 'text', (c) => c.notNull())
    .addColumn('publisher_keyid', 'text', (c) => c.notNull())
    .addColumn('imported', t.integer, (c) => c.notNull())
    .addColumn('required_capabilities', 'text', (c) => c.notNull())
    .addColumn('min_haivemind_version', 'text')
    .addColumn('components', 'text', (c) => c.notNull())
    .addColumn('status', 'text', (c) => c.notNull().defaultTo('registered'))
    .addColumn('status_reason', 'text', (c) => c.notNull().defaultTo(''))
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addColumn('updated_at', 'text', (c) => c.notNull())
    .addColumn('published_at', 'text')
    .addUniqueConstraint('uq_plugins_name_version', ['name', 'version'])
    .execute();
  await create('plugin_files')
    .addColumn('id', t.autoId)
    .addColumn('plugin_id', 'text', (c) => c.notNull().references('plugins.id'))
    .addColumn('file_path', 'text', (c) => c.notNull())
    .addColumn('file_type', 'text', (c) => c.notNull())
    .addColumn('checksum', 'text', (c) => c.notNull().references('blobs.sha256'))
    .addColumn('size', t.integer, (c) => c.notNull())
    .addColumn('executable', t.integer, (c) => c.notNull())
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addUniqueConstraint('uq_plugin_files_path', ['plugin_id', 'file_path'])
    .execute();
  await create('plugin_dependencies')
    .addColumn('id', t.autoId)
    .addColumn('plugin_id', 'text', (c) => c.notNull().references('plugins.id'))
    .addColumn('depends_on_name', 'text', (c) => c.notNull())
    .addColumn('depends_on_version', 'text', (c) => c.notNull())
    .addColumn('dependency_type', 'text', (c) => c.notNull().defaultTo('required'))
    .addUniqueConstraint('uq_plugin_dependencies', ['plugin_id', 'depends_on_name'])
    .execute();
  await create('plugin_machine_groups')
    .addColumn('id', t.autoId)
    .addColumn('plugin_id', 'text', (c) => c.notNull().references('plugins.id'))
    .addColumn('machine_group', 'text', (c) => c.notNull())
    .addUniqueConstraint('uq_plugin_machine_groups', ['plugin_id', 'machine_group'])
    .execute();
  await create('publications')
    .addColumn('id', t.autoId)
    .addColumn('plugin_id', 'text', (c) => c.notNull().references('plugins.id'))
    .addColumn('target', 'text', (c) => c.notNull())
    .addColumn('notify', t.integer, (c) => c.notNull())
    .addColumn('by', 'text', (c) => c.notNull())
    .addColumn('at', 'text', (c) => c.notNull())
    .addUniqueConstraint('uq_publications', ['plugin_id', 'target'])
    .execute();
  const index = (name: string) => db.schema.createIndex(name);
  await index('idx_plugins_name').on('plugins').column('name').execute();
  await index('idx_plugins_status').on('plugins').column('status').execute();
  await index('idx_plugins_checksum').on('plugins').column('checksum').execute();
  await index('idx_plugin_files_checksum').on('plugin_files').column('checksum').execute();
  await index('idx_machine_groups_group').on('plugin_machine_groups').column('machine_group').execute();
  await index('idx_publications_target').on('publications').column('target').execute();
}

async function machines(db: Kysely<unknown>, t: Types): Promise<void> {
  const create = (table: string) => db.schema.createTable(table);
  await create('machines')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('platform', 'text', (c) => c.notNull())
    .addColumn('haivemind_version', 'text', (c) => c.notNull())
    .addColumn('joined_at', 'text', (c) => c.notNull())
    .addColumn('last_seen', 'text')
    .addColumn('plan_counter', t.integer)
    .execute();
  await create('machine_groups')
    .addColumn('machine_id', 'text', (c) => c.notNull().references('machines.id').onDelete('cascade'))
    .addColumn('group_name', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('pk_machine_groups', ['machine_id', 'group_name'])
    .execute();
  await create('machine_capabilities')
    .addColumn('machine_id', 'text', (c) => c.notNull().references('machines.id').onDelete('cascade'))
    .addColumn('capability', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('pk_machine_capabilities', ['machine_id', 'capability'])
    .execute();
  await create('overrides')
    .addColumn('machine_id', 'text', (c) => c.notNull().references('machines.id').onDelete('cascade'))
    .addColumn('plugin_name', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('range', 'text', (c) => c.notNull())
    .addColumn('force_nonce', 'text')
    .addColumn('by_operator', t.integer, (c) => c.notNull())
    .addColumn('by', 'text', (c) => c.notNull())
    .addColumn('at', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('pk_overrides', ['machine_id', 'plugin_name', 'kind'])
    .execute();
  // No foreign key on plugin_id: a report may name a version this registry does not hold (docs/adr/0002).
  await create('plugin_installations')
    .addColumn('id', t.autoId)
    .addColumn('plugin_id', 'text', (c) => c.notNull())
    .addColumn('machine_id', 'text', (c) => c.notNull().references('machines.id').onDelete('cascade'))
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('installed_version', 'text', (c) => c.notNull())
    .addColumn('digest', 'text', (c) => c.notNull())
    .addColumn('installed_at', 'text', (c) => c.notNull())
    .addColumn('updated_at', 'text', (c) => c.notNull())
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('install_path', 'text')
    .addColumn('error_code', 'text')
    .addColumn('error_message', 'text')
    .addColumn('edited', t.integer, (c) => c.notNull())
    .addUniqueConstraint('uq_plugin_installations', ['plugin_id', 'machine_id'])
    .execute();
  const index = (name: string) => db.schema.createIndex(name);
  await index('idx_installations_machine').on('plugin_installations').column('machine_id').execute();
  await index('idx_installations_status').on('plugin_installations').column('status').execute();
  await index('idx_installations_name').on('plugin_installations').column('name').execute();
  await index('idx_machine_groups_name').on('machine_groups').column('group_name').execute();
}

async function journal(db: Kysely<unknown>, t: Types): Promise<void> {
  const create = (table: string) => db.schema.createTable(table);
  await create('tokens')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('hash', 'text', (c) => c.notNull().unique())
    .addColumn('roles', 'text', (c) => c.notNull())
    .addColumn('machine_id', 'text')
    .addColumn('name_pattern', 'text')
    .addColumn('created_at', 'text', (c) => c.notNull())
    .addColumn('expires_at', 'text')
    .addColumn('last_used_at', 'text')
    .addColumn('revoked_at', 'text')
    .execute();
  await create('publisher_keys')
    .addColumn('keyid', 'text', (c) => c.notNull())
    .addColumn('token_id', 'text', (c) => c.notNull())
    .addColumn('public_key', 'text', (c) => c.notNull())
    .addColumn('publisher', 'text', (c) => c.notNull())
    .addColumn('first_seen', 'text', (c) => c.notNull())
    .addColumn('revoked_at', 'text')
    .addPrimaryKeyConstraint('pk_publisher_keys', ['keyid', 'token_id'])
    .execute();
  await create('events')
    .addColumn('seq', t.integer, (c) => c.primaryKey())
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('at', 'text', (c) => c.notNull())
    .addColumn('data', 'text', (c) => c.notNull())
    .execute();
  await create('audit')
    .addColumn('id', t.integer, (c) => c.primaryKey())
    .addColumn('at', 'text', (c) => c.notNull())
    .addColumn('actor', 'text', (c) => c.notNull())
    .addColumn('action', 'text', (c) => c.notNull())
    .addColumn('target', 'text', (c) => c.notNull())
    .addColumn('data', 'text', (c) => c.notNull())
    .addColumn('prev_hash', 'text', (c) => c.notNull())
    .addColumn('hash', 'text', (c) => c.notNull())
    .execute();
  await create('counters')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('value', t.integer, (c) => c.notNull())
    .execute();
  await create('hub_meta')
    .addColumn('key', 'text', (c) => c.primaryKey())
    .addColumn('value', 'text', (c) => c.notNull())
    .execute();
  const counters = db as Kysely<{ counters: { name: string; value: number } }>;
  await counters
    .insertInto('counters')
    .values([
      { name: 'seq', value: 0 },
      { name: 'audit', value: 0 },
    ])
    .onConflict((oc) => oc.doNothing())
    .execute();
}
