import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Kysely, sql, type Transaction } from 'kysely';
import { HaiveError } from '../domain/errors.ts';
import type { EngineName } from './dialect.ts';
import { createGroupCommit } from './group-commit.ts';
import { appliedMigrations, type Migrated, migrate } from './migrate.ts';
import { openPostgres } from './postgres.ts';
import { FACTS_COUNTER, getMeta } from './queries/meta.ts';
import { openSqlite } from './sqlite.ts';
import type { Tables } from './tables/index.ts';

export type Unlisten = () => Promise<void>;

/** The registry's database. One per process; every truth is in it. */
export interface Store {
  readonly dialect: EngineName;
  readonly clock: () => Date;
  /** For single reads; never inside `transact` (on PostgreSQL it would not see the transaction). */
  readonly read: Kysely<Tables>;
  /** Several reads of one moment. */
  snapshot<T>(fn: (tx: Transaction<Tables>) => Promise<T>): Promise<T>;
  /** The same for reads that take long (a backup): other reads do not wait for it. */
  longSnapshot<T>(fn: (tx: Transaction<Tables>) => Promise<T>): Promise<T>;
  /** All or nothing. Whatever changes what machines get takes `nextSeq` first. */
  transact<T>(fn: (tx: Transaction<Tables>) => Promise<T>): Promise<T>;
  /**
   * The transaction's number in the feed. It locks the one counter row until the commit, so that numbers become
   * visible in order; take it before anything else. Other hub processes hear of it when the transaction commits.
   */
  nextSeq(tx: Transaction<Tables>): Promise<number>;
  /** Waits for and blocks every other seq-taking transaction, without taking a number. */
  lockSeq(tx: Transaction<Tables>): Promise<void>;
  currentSeq(): Promise<number>;
  /** Both counters of what a plan depends on, of one moment. */
  stamp(): Promise<Stamp>;
  /**
   * Hears of commits by any process on this database (each at least once, perhaps merged into a later seq) and of
   * messages by `notify` (also one's own; on SQLite only this process's).
   */
  listen(onSeq: (seq: number) => void, onMessage: (channel: string, payload: string) => void): Promise<Unlisten>;
  /** @param payload at most 7,800 bytes @throws HaiveError BODY_TOO_LARGE */
  notify(channel: string, payload: string): Promise<void>;
  /** Writes a backup while the store is in use (storage/backup). */
  backup(file: string): Promise<BackupSize>;
  close(): Promise<void>;
}

export interface BackupSize {
  rows: number;
  /** Plugin versions among them. */
  versions: number;
  /** Of the file. */
  bytes: number;
}

/** Grows with every change of what plans and tokens depend on. */
export interface Stamp {
  /** Of the registry, of machines and of tokens: newest event. */
  seq: number;
  /** Of what machines report. */
  facts: number;
}

export interface StoreOptions {
  /** Folder of plugins.db; not used with a databaseUrl. */
  dataDir: string;
  /** The SQLite file, where it is not `<dataDir>/plugins.db`. */
  file?: string | undefined;
  /** postgres://… */
  databaseUrl?: string | undefined;
  /** Refuse a database that no hub has started on, instead of making one. */
  mustExist?: boolean | undefined;
  clock: () => Date;
}

/** Milliseconds between looks for commits of other processes. */
const POLL_SQLITE = 250;
const POLL_POSTGRES = 2000;
const MAX_NOTIFY = 7800;
const SEQ_CHANNEL = 'seq';

interface Engine {
  dialect: EngineName;
  read: Kysely<Tables>;
  migrated: Migrated;
  transact: Store['transact'];
  nextSeq(tx: Transaction<Tables>): Promise<number>;
  lockSeq(tx: Transaction<Tables>): Promise<void>;
  currentSeq(): Promise<number>;
  stamp(): Promise<Stamp>;
  snapshot: Store['snapshot'];
  longSnapshot: Store['longSnapshot'];
  listen: Store['listen'];
  notify(channel: string, payload: string): Promise<void>;
  /** The schema is there: what follows is answered soon. */
  expectAnswers?(): void;
  close(): Promise<void>;
}

/**
 * Opens the database and brings its schema up to date.
 * @throws HaiveError NATIVE_MODULE, DATABASE_UNAVAILABLE, SCHEMA_NEWER, CONFIG_INVALID, DISK_FULL, READ_ONLY
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  if (options.mustExist && options.databaseUrl === undefined && !existsSync(databaseOf(options))) {
    throw noRegistry(options);
  }
  const engine =
    options.databaseUrl === undefined
      ? await sqliteEngine(databaseOf(options))
      : await postgresEngine(checkUrl(options.databaseUrl));
  try {
    if (options.mustExist && !(await hasRegistry(engine))) throw noRegistry(options);
    await migrate(engine.migrated);
    engine.expectAnswers?.();
  } catch (thrown) {
    await engine.close();
    throw thrown;
  }
  let closed: Promise<void> | undefined;
  const store: Store = {
    dialect: engine.dialect,
    clock: options.clock,
    read: engine.read,
    snapshot: engine.snapshot,
    longSnapshot: engine.longSnapshot,
    transact: engine.transact,
    nextSeq: engine.nextSeq,
    lockSeq: engine.lockSeq,
    currentSeq: engine.currentSeq,
    stamp: engine.stamp,
    listen: engine.listen,
    async notify(channel, payload) {
      if (channel === SEQ_CHANNEL || channel.includes(' ')) throw new Error(`not a channel: ${channel}`);
      if (Buffer.byteLength(payload) > MAX_NOTIFY) throw new HaiveError('BODY_TOO_LARGE', 'The message is too long');
      await engine.notify(channel, payload);
    },
    async backup(file) {
      const { backup } = await import('./backup.ts');
      return backup(store, file);
    },
    close() {
      closed ??= engine.close();
      return closed;
    },
  };
  return store;
}

/** Which database is meant, in words: the SQLite file, or PostgreSQL's address without login and options. */
export function databaseOf(options: Pick<StoreOptions, 'dataDir' | 'file' | 'databaseUrl'>): string {
  const { databaseUrl } = options;
  if (databaseUrl === undefined) return options.file ?? join(options.dataDir, 'plugins.db');
  if (!URL.canParse(databaseUrl)) return 'PostgreSQL';
  const { host, pathname } = new URL(databaseUrl);
  return `postgres://${host}${pathname}`;
}

/** True where a hub has started on the database: it has an identity. */
async function hasRegistry({ read, migrated }: Engine): Promise<boolean> {
  if ((await appliedMigrations(migrated.db, migrated.schema)).length === 0) return false;
  return (await getMeta(read, 'hub_id')) !== undefined;
}

function noRegistry(options: StoreOptions): HaiveError {
  const hint =
    options.databaseUrl === undefined
      ? "Name the hub's data folder with --data-dir or HAIVEMIND_DATA_DIR"
      : 'Look at HAIVEMIND_DATABASE_URL or --database-url, and at its search_path';
  return new HaiveError('DATABASE_UNAVAILABLE', `There is no registry at ${databaseOf(options)}`, {
    hint: `${hint}; a new registry is made by the first start of \`hv hub\`.`,
  });
}

function checkUrl(url: string): string {
  if (/^postgres(ql)?:\/\//.test(url)) return url;
  throw new HaiveError('CONFIG_INVALID', 'HAIVEMIND_DATABASE_URL is not a postgres:// address');
}

async function sqliteEngine(path: string): Promise<Engine> {
  const file = await openSqlite(path);
  const write = new Kysely<Tables>({ dialect: file.writer });
  const read = new Kysely<Tables>({ dialect: file.reader });
  const listeners = new Set<(channel: string, payload: string) => void>();
  const stops = new Set<() => void>();
  return {
    dialect: 'sqlite',
    read,
    migrated: {
      db: write as Kysely<unknown>,
      resuming: new Kysely({ dialect: file.resuming }),
      engine: 'sqlite',
      schema: undefined,
    },
    transact: createGroupCommit(write),
    nextSeq: takeSeq,
    // `begin immediate` has taken the lock already.
    lockSeq: async () => undefined,
    currentSeq: async () => file.currentSeq(),
    stamp: async () => file.stamp(),
    snapshot: (fn) => read.transaction().execute(fn),
    async longSnapshot(fn) {
      const reader = file.openReader();
      const own = new Kysely<Tables>({ dialect: reader.dialect });
      try {
        return await own.transaction().execute(fn);
      } finally {
        await own.destroy();
        reader.close();
      }
    },
    async listen(onSeq, onMessage) {
      let version = file.dataVersion();
      let last = file.currentSeq();
      const timer = setInterval(() => {
        const now = file.dataVersion();
        if (now === version) return;
        version = now;
        const seq = file.currentSeq();
        if (seq !== last) onSeq(seq);
        last = seq;
      }, POLL_SQLITE);
      timer.unref();
      const stop = () => clearInterval(timer);
      stops.add(stop);
      listeners.add(onMessage);
      return async () => {
        stop();
        stops.delete(stop);
        listeners.delete(onMessage);
      };
    },
    async notify(channel, payload) {
      for (const listener of listeners) listener(channel, payload);
    },
    async close() {
      for (const stop of stops) stop();
      await write.destroy();
      await read.destroy();
      file.close();
    },
  };
}

async function takeSeq(tx: Transaction<Tables>): Promise<number> {
  const row = await tx
    .updateTable('counters')
    .set((eb) => ({ value: eb('value', '+', 1) }))
    .where('name', '=', 'seq')
    .returning('value')
    .executeTakeFirstOrThrow();
  return row.value;
}

async function postgresEngine(url: string): Promise<Engine> {
  const server = await openPostgres(url);
  const db = new Kysely<Tables>({ dialect: server.dialect });
  const stops = new Set<() => Promise<void>>();
  const snapshot: Store['snapshot'] = (fn) =>
    db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only').execute(fn);
  // Every request waits for these: one lost connection must not keep all others waiting.
  const stamp = async (): Promise<Stamp> => {
    const rows = await server.look<{ name: string; value: number }>(
      `select name, value from counters where name in ('seq', '${FACTS_COUNTER}')`,
    );
    const counterOf = (name: string): number => rows.find((row) => row.name === name)?.value ?? 0;
    return { seq: counterOf('seq'), facts: counterOf(FACTS_COUNTER) };
  };
  const currentSeq = async () => (await stamp()).seq;
  return {
    dialect: 'postgres',
    read: db,
    migrated: { db: db as Kysely<unknown>, engine: 'postgres', schema: server.schema },
    transact: (fn) => db.transaction().execute(fn),
    async nextSeq(tx) {
      // The notification leaves with the commit, so a hub that dies right after it has still rung the others.
      const { rows } = await sql<{ value: number }>`with taken as (
          update counters set value = value + 1 where name = 'seq' returning value
        ) select value, pg_notify(${server.channel}, ${`${SEQ_CHANNEL} `} || value::text) from taken`.execute(tx);
      const value = rows[0]?.value;
      if (value === undefined) throw new HaiveError('DATABASE_UNAVAILABLE', 'The counter row is missing');
      return value;
    },
    async lockSeq(tx) {
      await sql`select value from counters where name = 'seq' for update`.execute(tx);
    },
    currentSeq,
    stamp,
    snapshot,
    longSnapshot: snapshot,
    async listen(onSeq, onMessage) {
      let last = await currentSeq();
      const heard = (seq: number) => {
        if (seq <= last) return;
        last = seq;
        onSeq(seq);
      };
      // Notifications can be lost with their connection; the counter cannot.
      const look = () => void currentSeq().then(heard, () => undefined);
      const unlisten = await server.listen((message) => {
        const space = message.indexOf(' ');
        const channel = message.slice(0, space);
        const payload = message.slice(space + 1);
        if (channel === SEQ_CHANNEL) heard(Number(payload));
        else onMessage(channel, payload);
      }, look);
      const timer = setInterval(look, POLL_POSTGRES);
      timer.unref();
      const stop = async () => {
        clearInterval(timer);
        await unlisten();
      };
      stops.add(stop);
      return async () => {
        stops.delete(stop);
        await stop();
      };
    },
    notify: (channel, payload) => server.notify(`${channel} ${payload}`),
    async close() {
      await Promise.all([...stops].map((stop) => stop()));
      await server.ending(db.destroy());
    },
    expectAnswers: server.expectAnswers,
  };
}
