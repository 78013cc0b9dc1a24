import { type Kysely, type MigrationProvider, Migrator, sql } from 'kysely';
import { HaiveError } from '../domain/errors.ts';
import type { EngineName } from './dialect.ts';
import { migrationsFor } from './migrations/index.ts';

const TABLE = 'schema_migrations';
const LOCK_TABLE = 'schema_migrations_lock';

/**
 * Brings the schema up to this program's; two hubs that start at once wait for each other.
 * @param schema PostgreSQL's schema; undefined on SQLite
 * @throws HaiveError SCHEMA_NEWER when the database holds migrations this program does not know
 */
export async function migrate(db: Kysely<unknown>, engine: EngineName, schema: string | undefined): Promise<void> {
  const migrations = migrationsFor(engine);
  await refuseNewer(db, Object.keys(migrations), schema);
  const provider: MigrationProvider = { getMigrations: async () => migrations };
  const migrator = new Migrator({
    db,
    provider,
    migrationTableName: TABLE,
    migrationLockTableName: LOCK_TABLE,
    ...(schema === undefined ? {} : { migrationTableSchema: schema }),
  });
  const { error } = await migrator.migrateToLatest();
  if (error === undefined) return;
  // A newer hub may have migrated between our look and our lock.
  await refuseNewer(db, Object.keys(migrations), schema);
  if (error instanceof HaiveError) throw error;
  throw new HaiveError('DATABASE_UNAVAILABLE', 'The schema of the database could not be brought up to date', {
    cause: error,
  });
}

async function refuseNewer(db: Kysely<unknown>, known: string[], schema: string | undefined): Promise<void> {
  const newer = (await appliedMigrations(db, schema)).filter((name) => !known.includes(name));
  if (newer.length > 0) {
    throw new HaiveError('SCHEMA_NEWER', `The database holds schema changes of a newer hub: ${newer.join(', ')}`, {
      details: { newer, known },
    });
  }
}

/** Names of the migrations that the database has, in order; empty for a new one. */
export async function appliedMigrations(db: Kysely<unknown>, schema: string | undefined): Promise<string[]> {
  const there =
    schema === undefined
      ? await sql`select 1 from sqlite_master where type = 'table' and name = ${TABLE}`.execute(db)
      : await sql`select 1 from pg_tables where schemaname = ${schema} and tablename = ${TABLE}`.execute(db);
  if (there.rows.length === 0) return [];
  const rows = await sql<{ name: string }>`select name from ${sql.table(TABLE)} order by name`.execute(db);
  return rows.rows.map((r) => r.name);
}
