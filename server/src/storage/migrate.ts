import { type Kysely, type MigrationProvider, Migrator, sql } from 'kysely';
import { HaiveError } from '../domain/errors.ts';
import type { EngineName } from './dialect.ts';
import { migrationsFor } from './migrations/index.ts';

const TABLE = 'schema_migrations';
const LOCK_TABLE = 'schema_migrations_lock';

/** The last one that programs ran without a transaction on SQLite; one that was killed there left some of its statements done. */
const LAST_PIECEMEAL = '0110-yanked-advice';

/** A database whose schema is to be brought up to date. */
export interface Migrated {
  db: Kysely<unknown>;
  /** The same, passing over what is there already (SQLite). */
  resuming?: Kysely<unknown>;
  engine: EngineName;
  /** PostgreSQL's; undefined on SQLite. */
  schema: string | undefined;
}

/**
 * Brings the schema up to this program's, whole or not at all; two hubs that start at once wait for each other.
 * @throws HaiveError SCHEMA_NEWER when the database holds migrations this program does not know; DATABASE_UNAVAILABLE, DISK_FULL,
 *   READ_ONLY
 */
export async function migrate({ db, resuming, engine, schema }: Migrated): Promise<void> {
  const migrations = migrationsFor(engine);
  const known = Object.keys(migrations);
  const before = await refuseNewer(db, known, schema);
  if (before.length === known.length) return;
  const provider: MigrationProvider = { getMigrations: async () => migrations };
  const migrator = new Migrator({
    db: resuming !== undefined && (await wasCutOff(db, before)) ? resuming : db,
    provider,
    migrationTableName: TABLE,
    migrationLockTableName: LOCK_TABLE,
    ...(schema === undefined ? {} : { migrationTableSchema: schema }),
  });
  const { error, results } = await migrator.migrateToLatest();
  if (error === undefined) return;
  // A newer hub may have migrated between our look and our lock.
  await refuseNewer(db, known, schema);
  if (error instanceof HaiveError) throw error;
  const failed = results?.find((result) => result.status === 'Error')?.migrationName;
  const why = error instanceof Error ? error.message : String(error);
  throw new HaiveError(
    'DATABASE_UNAVAILABLE',
    `The schema of the database could not be brought up to date${failed === undefined ? '' : ` (${failed})`}: ${why}`,
    {
      cause: error,
      hint:
        before.length === 0
          ? "Nothing of it was changed. If these are another program's tables, name another data folder or schema."
          : 'Nothing of it was changed: the version of hv that ran on it still opens it and makes a backup (`hv hub backup`), which `hv hub restore` reads into a new data folder or schema.',
    },
  );
}

/** True where the tables may be there without the note that they are. */
async function wasCutOff(db: Kysely<unknown>, applied: string[]): Promise<boolean> {
  if (applied.includes(LAST_PIECEMEAL)) return false;
  // The first thing that a hub makes: without it, tables of these names are somebody else's.
  return (await hasTable(db, undefined, TABLE)) && (await hasTable(db, undefined, 'blobs'));
}

/** @returns the migrations that the database has */
async function refuseNewer(db: Kysely<unknown>, known: string[], schema: string | undefined): Promise<string[]> {
  const applied = await appliedMigrations(db, schema);
  const newer = applied.filter((name) => !known.includes(name));
  if (newer.length > 0) {
    throw new HaiveError('SCHEMA_NEWER', `The database holds schema changes of a newer hub: ${newer.join(', ')}`, {
      details: { newer, known },
    });
  }
  return applied;
}

async function hasTable(db: Kysely<unknown>, schema: string | undefined, name: string): Promise<boolean> {
  const { rows } =
    schema === undefined
      ? await sql`select 1 from sqlite_master where type = 'table' and name = ${name}`.execute(db)
      : await sql`select 1 from pg_tables where schemaname = ${schema} and tablename = ${name}`.execute(db);
  return rows.length > 0;
}

/** Names of the migrations that the database has, in order; empty for a new one. */
export async function appliedMigrations(db: Kysely<unknown>, schema: string | undefined): Promise<string[]> {
  if (!(await hasTable(db, schema, TABLE))) return [];
  const rows = await sql<{ name: string }>`select name from ${sql.table(TABLE)} order by name`.execute(db);
  return rows.rows.map((r) => r.name);
}
