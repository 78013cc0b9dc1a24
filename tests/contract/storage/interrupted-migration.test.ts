import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Kysely, Migrator, PostgresDialect, SqliteDialect, sql } from 'kysely';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { migrationsFor } from '../../../server/src/storage/migrations/index.ts';
import { openStore, type Store } from '../../../server/src/storage/store.ts';
import { createDatabase, ENGINES, type EngineUnderTest, type TestDatabase, tickingClock } from '../engines.ts';

const AT = '2026-01-01T00:00:00.000Z';
const LATEST = Object.keys(migrationsFor('sqlite')).at(-1) as string;
const OLD = '0030-trust';
/** The last change that an earlier program made without a transaction. */
const LAST_PIECEMEAL = '0110-yanked-advice';

afterEach(() => vi.restoreAllMocks());

/** Calls `before` at each statement that goes to the engine from now on, with its number. */
function atEachStatement(engine: EngineUnderTest, before: (n: number) => void): void {
  const [prototype, method] =
    engine === 'sqlite' ? ([Database.prototype, 'prepare'] as const) : ([pg.Client.prototype, 'query'] as const);
  const target = prototype as unknown as Record<string, (...args: unknown[]) => unknown>;
  const real = target[method] as (...args: unknown[]) => unknown;
  let n = 0;
  vi.spyOn(target, method).mockImplementation(function (this: unknown, ...args) {
    before(n++);
    return real.apply(this, args);
  });
}

/** Every table's, index's and column's definition. */
async function shapeOf(store: Store): Promise<unknown> {
  const query =
    store.dialect === 'sqlite'
      ? sql`select type, name, sql from sqlite_master where name not like 'sqlite_%' order by name`
      : sql`select table_name, column_name, data_type, is_nullable from information_schema.columns
             where table_schema = current_schema() order by 1, 2`;
  const indexes =
    store.dialect === 'sqlite'
      ? []
      : (await sql`select indexname from pg_indexes where schemaname = current_schema() order by 1`.execute(store.read))
          .rows;
  return [(await query.execute(store.read)).rows, indexes];
}

async function applied(store: Store): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`select name from schema_migrations order by name`.execute(store.read);
  return rows.map((row) => row.name);
}

async function freshShape(engine: EngineUnderTest): Promise<unknown> {
  const database = await createDatabase(engine);
  try {
    return await shapeOf(await database.open());
  } finally {
    await database.drop();
  }
}

/** Brings the database to an earlier program's schema, as that did: each statement for itself on SQLite. */
async function migrateAsBefore(database: TestDatabase, target: string): Promise<void> {
  const { dataDir, databaseUrl } = database.options;
  const dialect =
    databaseUrl === undefined
      ? new SqliteDialect({ database: new Database(join(dataDir, 'plugins.db')) })
      : new PostgresDialect({ pool: new pg.Pool({ connectionString: databaseUrl }) });
  const db = new Kysely<unknown>({ dialect });
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => migrationsFor(database.engine) },
    migrationTableName: 'schema_migrations',
    migrationLockTableName: 'schema_migrations_lock',
    ...(databaseUrl === undefined
      ? {}
      : {
          migrationTableSchema: (await sql<{ s: string }>`select current_schema() as s`.execute(db)).rows[0]?.s ?? '',
        }),
  });
  try {
    const { error } = await migrator.migrateTo(target);
    if (error !== undefined) throw error;
  } finally {
    await db.destroy();
  }
}

/** What a hub of then had: an approval, and a machine with a plugin. */
async function fillAsBefore(database: TestDatabase): Promise<void> {
  const { dataDir, databaseUrl } = database.options;
  const rows = [
    `insert into machines (id, name, platform, haivemind_version, joined_at) values ('m', 'one', 'linux', '1.0.0', '${AT}')`,
    `insert into plugin_installations (plugin_id, machine_id, name, installed_version, digest, installed_at, updated_at,
       status, edited) values ('p', 'm', 'logs', '1.0.0', 'd', '${AT}', '${AT}', 'loaded', 0)`,
    `insert into approvals (digest, plugin_id, "by", at) values ('d', 'p', 'ann', '${AT}')`,
  ];
  if (databaseUrl === undefined) {
    const db = new Database(join(dataDir, 'plugins.db'));
    for (const row of rows) db.exec(row);
    db.close();
    return;
  }
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  for (const row of rows) await client.query(row);
  await client.end();
}

/** Names of all tables but those that keep count of the changes, and of the changes noted in these. */
async function tablesOf({ options: { dataDir, databaseUrl } }: TestDatabase): Promise<string[]> {
  const ask = async (run: (query: string) => Promise<{ name: string }[]>, catalog: string) => {
    const names = (await run(catalog)).map((row) => row.name);
    const notes = names.includes('schema_migrations') ? await run('select name from schema_migrations') : [];
    return [...names.filter((name) => !name.startsWith('schema_')), ...notes.map((row) => row.name)].sort();
  };
  if (databaseUrl === undefined) {
    const db = new Database(join(dataDir, 'plugins.db'));
    try {
      return await ask(
        async (query) => db.prepare(query).all() as { name: string }[],
        "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'",
      );
    } finally {
      db.close();
    }
  }
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return await ask(
      async (query) => (await client.query<{ name: string }>(query)).rows,
      'select tablename as name from pg_tables where schemaname = current_schema()',
    );
  } finally {
    await client.end();
  }
}

async function expectFilled(store: Store): Promise<void> {
  expect(await store.read.selectFrom('installation_counts').selectAll().execute()).toEqual([
    { name: 'logs', machines: 1 },
  ]);
  expect(await store.read.selectFrom('approval_votes').select(['digest', 'by']).execute()).toEqual([
    { digest: 'd', by: 'ann' },
  ]);
}

describe.each(ENGINES)('a schema change that ends half-way on %s', (engine) => {
  let shape: unknown;
  let whole: string[];
  beforeEach(async () => {
    const database = await createDatabase(engine);
    shape = await shapeOf(await database.open());
    whole = await tablesOf(database);
    await database.drop();
  });

  const starts = [
    { what: 'first start', prepare: async () => undefined, check: async () => undefined },
    {
      what: 'upgrade',
      prepare: async (database: TestDatabase) => {
        await migrateAsBefore(database, OLD);
        await fillAsBefore(database);
      },
      check: expectFilled,
    },
  ];

  it.each(starts)('is whole or not at all, whichever statement of a $what fails', async ({ prepare, check }) => {
    let statements = Number.POSITIVE_INFINITY;
    const template = await createDatabase(engine);
    if (engine === 'sqlite') await prepare(template);
    for (let n = 0; n < statements; n += engine === 'sqlite' ? 1 : 12) {
      const database = await createDatabase(engine);
      try {
        const made = join(template.options.dataDir, 'plugins.db');
        if (existsSync(made)) copyFileSync(made, join(database.options.dataDir, 'plugins.db'));
        if (engine === 'postgres') await prepare(database);
        const tables = await tablesOf(database);
        let seen = 0;
        atEachStatement(engine, (at) => {
          seen = at;
          if (at >= n) throw Object.assign(new Error('gone'), { code: engine === 'sqlite' ? 'SQLITE_FULL' : '53100' });
        });
        const failure = await database.open().then(
          () => undefined,
          (error: unknown) => error,
        );
        vi.restoreAllMocks();
        if (failure === undefined) statements = seen;
        else {
          expect(failure).toMatchObject({ code: 'DISK_FULL' });
          // PostgreSQL lets go of a lock after the commit.
          expect([tables, whole]).toContainEqual(await tablesOf(database));
        }
        const again = await database.open();
        expect(await shapeOf(again)).toEqual(shape);
        expect((await applied(again)).at(-1)).toBe(LATEST);
        await check(again);
      } finally {
        vi.restoreAllMocks();
        await database.drop();
      }
    }
    await template.drop();
  });
});

describe('a process that is killed while it changes the schema of a file', () => {
  let folder: string;
  let database: TestDatabase;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hv killed '));
    database = await createDatabase('sqlite');
  });
  afterEach(async () => {
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  });

  /** The files as a kill before each statement of `work` would leave them. */
  async function momentsOf(work: () => Promise<unknown>): Promise<string[]> {
    const moments: string[] = [];
    atEachStatement('sqlite', (n) => {
      const moment = join(folder, String(n));
      mkdirSync(moment);
      for (const file of ['plugins.db', 'plugins.db-wal']) {
        const from = join(database.options.dataDir, file);
        if (existsSync(from)) copyFileSync(from, join(moment, file));
      }
      moments.push(moment);
    });
    await work();
    vi.restoreAllMocks();
    return moments;
  }

  async function expectWhole(moments: string[], check: (store: Store) => Promise<void>): Promise<void> {
    expect(moments.length).toBeGreaterThan(20);
    const shape = await freshShape('sqlite');
    for (const dataDir of moments) {
      const store = await openStore({ dataDir, clock: tickingClock() });
      try {
        expect(await shapeOf(store)).toEqual(shape);
        expect((await applied(store)).at(-1)).toBe(LATEST);
        await check(store);
      } finally {
        await store.close();
      }
    }
  }

  const hasCounters = async (store: Store) => expect(await store.currentSeq()).toBe(0);

  it('leaves a first start that the next one carries through', async () => {
    await expectWhole(await momentsOf(() => database.open()), hasCounters);
  });

  it('leaves an upgrade that the next start carries through, with what was there', async () => {
    await migrateAsBefore(database, OLD);
    await fillAsBefore(database);
    await expectWhole(await momentsOf(() => database.open()), expectFilled);
  });

  it('a first start of an earlier program, which made each statement for itself, is carried through too', async () => {
    await expectWhole(await momentsOf(() => migrateAsBefore(database, LAST_PIECEMEAL)), hasCounters);
  });

  it('an upgrade by an earlier program is carried through too', async () => {
    await migrateAsBefore(database, OLD);
    await fillAsBefore(database);
    await expectWhole(await momentsOf(() => migrateAsBefore(database, LAST_PIECEMEAL)), expectFilled);
  });
});

describe('a file that cannot be brought up to date', () => {
  it('says which change failed and why, changes nothing, and names a way out', async () => {
    const database = await createDatabase('sqlite');
    try {
      const file = new Database(join(database.options.dataDir, 'plugins.db'));
      file.exec('create table plugins (title text)');
      file.close();
      await expect(database.open()).rejects.toMatchObject({
        code: 'DATABASE_UNAVAILABLE',
        message: expect.stringMatching(/0001-registry.*table "plugins" already exists/),
        hint: expect.stringContaining('Nothing of it was changed'),
      });
      const after = new Database(join(database.options.dataDir, 'plugins.db'));
      expect(after.prepare("select name from sqlite_master where name = 'blobs'").all()).toEqual([]);
      after.close();
    } finally {
      await database.drop();
    }
  });
});
