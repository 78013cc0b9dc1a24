import { mkdir, open as openFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type BetterSqlite3 from 'better-sqlite3';
import { type Dialect, SqliteAdapter, type SqliteDatabase, SqliteDialect } from 'kysely';
import { errnoOf, HaiveError } from '../domain/errors.ts';
import { guarded, storageError } from './dialect.ts';
import { fileError } from './file-error.ts';
import { FACTS_COUNTER } from './queries/meta.ts';
import { cachingStatements, passingOver } from './sqlite-statements.ts';
import type { Stamp } from './store.ts';

/** Two connections on one file: reads never wait for a transaction in progress (WAL). */
export interface SqliteFile {
  writer: Dialect;
  /** The writer, passing over statements of a schema change that an interrupted one had done already. */
  resuming: Dialect;
  reader: Dialect;
  /** One more connection for reads that would keep the others waiting. */
  openReader(): { dialect: Dialect; close(): void };
  /** Newest seq, without going through the query builder: the hub asks at every request. */
  currentSeq(): number;
  /** Seq and the counter of machines' news, likewise. */
  stamp(): Stamp;
  /** Changes whenever another connection, of this process or another, has committed. */
  dataVersion(): number;
  close(): void;
}

/** Milliseconds to wait, event loop and all, for another process: while opening, and later (dialect waits for longer). */
const BUSY_OPENING = 5000;
const BUSY_LATER = 50;

async function loadDriver(): Promise<typeof BetterSqlite3> {
  try {
    return (await import('better-sqlite3')).default;
  } catch (cause) {
    throw new HaiveError('NATIVE_MODULE', 'better-sqlite3 does not load here', { cause });
  }
}

/**
 * Opens (or creates, mode 0600) the database file.
 * @throws HaiveError NATIVE_MODULE, DATABASE_UNAVAILABLE, DISK_FULL, READ_ONLY
 */
export async function openSqlite(file: string): Promise<SqliteFile> {
  const Database = await loadDriver();
  const opened: BetterSqlite3.Database[] = [];
  const open = (): BetterSqlite3.Database => {
    const db = construct(Database, file);
    opened.push(db);
    db.pragma(`busy_timeout = ${BUSY_OPENING}`);
    db.pragma('journal_mode = WAL');
    // FULL: what was acknowledged survives a power cut, not only a crash of the process.
    db.pragma('synchronous = FULL');
    db.pragma('foreign_keys = ON');
    db.pragma(`busy_timeout = ${BUSY_LATER}`);
    return db;
  };
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    // SQLite gives its -wal and -shm files the mode of the database file.
    await (await openFile(file, 'a', 0o600)).close();
    const writer = open();
    const openReader = (): BetterSqlite3.Database => {
      const db = open();
      db.pragma('query_only = ON');
      return db;
    };
    const reader = openReader();
    let seqStatement: BetterSqlite3.Statement | undefined;
    let stampStatement: BetterSqlite3.Statement | undefined;
    return {
      writer: writing(cachingStatements(writer)),
      resuming: writing(passingOver(writer)),
      reader: guarded(new SqliteDialect({ database: cachingStatements(reader) }), 'begin deferred'),
      openReader: () => {
        const db = openReader();
        return {
          dialect: guarded(new SqliteDialect({ database: cachingStatements(db) }), 'begin deferred'),
          close: () => {
            opened.splice(opened.indexOf(db), 1);
            db.close();
          },
        };
      },
      currentSeq: () => {
        seqStatement ??= reader.prepare("select value from counters where name = 'seq'").pluck();
        return seqStatement.get() as number;
      },
      stamp: () => {
        stampStatement ??= reader.prepare(
          `select max(iif(name = 'seq', value, 0)) as seq, max(iif(name = '${FACTS_COUNTER}', value, 0)) as facts
             from counters where name in ('seq', '${FACTS_COUNTER}')`,
        );
        return stampStatement.get() as Stamp;
      },
      dataVersion: () => reader.pragma('data_version', { simple: true }) as number,
      close: () => {
        for (const db of opened) db.close();
      },
    };
  } catch (thrown) {
    for (const db of opened) db.close();
    const error = fileError(storageError(thrown), file);
    if (error instanceof HaiveError) throw error;
    throw new HaiveError('DATABASE_UNAVAILABLE', `The database ${file} cannot be opened`, { cause: thrown });
  }
}

/**
 * Takes a file (made where it is missing, mode 0600) for this process alone until it lets go or dies: SQLite's own lock on it, which no
 * crash leaves behind.
 * @returns what lets go; null where another process has it
 * @throws HaiveError NATIVE_MODULE, DATABASE_UNAVAILABLE, DISK_FULL, READ_ONLY, IO_ERROR
 */
export async function holdAlone(file: string): Promise<(() => void) | null> {
  const Database = await loadDriver();
  let db: BetterSqlite3.Database | undefined;
  try {
    // Never opened where it is there: closing it would end the lock that another hub of this process has (POSIX).
    await (await openFile(file, 'wx', 0o600)).close();
  } catch (thrown) {
    if (errnoOf(thrown) !== 'EEXIST') throw fileError(thrown, file);
  }
  try {
    const held = construct(Database, file);
    db = held;
    // Of two that come at once each is in the other's way for a moment: with no patience both would be refused.
    held.pragma('busy_timeout = 200');
    // No second file beside it: nothing is ever written.
    held.pragma('journal_mode = memory');
    held.exec('begin exclusive');
    return () => void held.close();
  } catch (thrown) {
    db?.close();
    if ((thrown as { code?: string }).code?.startsWith('SQLITE_BUSY')) return null;
    throw storageError(thrown);
  }
}

/** The .node file is loaded by the constructor, so a wrong build shows up here and not at the import. */
function construct(Database: typeof BetterSqlite3, file: string): BetterSqlite3.Database {
  try {
    return new Database(file);
  } catch (thrown) {
    const code = (thrown as { code?: string }).code ?? '';
    const message = thrown instanceof Error ? thrown.message : '';
    if (
      code === 'ERR_DLOPEN_FAILED' ||
      code === 'MODULE_NOT_FOUND' ||
      /bindings file|NODE_MODULE_VERSION/.test(message)
    ) {
      throw new HaiveError('NATIVE_MODULE', 'The native part of better-sqlite3 does not load here', { cause: thrown });
    }
    throw thrown;
  }
}

/** SQLite undoes schema changes with their transaction, which Kysely does not claim for it: it would migrate without one. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

function writing(database: SqliteDatabase): Dialect {
  return {
    ...guarded(new SqliteDialect({ database }), 'begin immediate'),
    createAdapter: () => new TransactionalAdapter(),
  };
}
