import { type Dialect, PostgresDialect } from 'kysely';
import type Pg from 'pg';
import { HaiveError } from '../domain/errors.ts';
import { guarded, storageError } from './dialect.ts';
import { SchemaIntrospector } from './postgres-introspector.ts';

export interface PostgresServer {
  dialect: Dialect;
  /** The schema our tables live in (search_path's first), also part of the channel's name. */
  schema: string;
  channel: string;
  notify(message: string): Promise<void>;
  /** Keeps a LISTEN connection, reconnecting by itself; `onUp` runs after each (re)connection. */
  listen(onMessage: (message: string) => void, onUp: () => void): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT = 10_000;
/** A hub that vanished inside a transaction must not hold the counter row for ever. */
const IDLE_IN_TRANSACTION = 60_000;
const RECONNECT_FIRST = 100;
const RECONNECT_MAX = 5000;

async function loadDriver(): Promise<typeof Pg> {
  try {
    return (await import('pg')).default;
  } catch (cause) {
    throw new HaiveError('NATIVE_MODULE', 'The module pg does not load here', { cause });
  }
}

/**
 * Connects to PostgreSQL.
 * @param url a postgres:// address; `?options=-c search_path=x` chooses the schema
 * @throws HaiveError NATIVE_MODULE, DATABASE_UNAVAILABLE
 */
export async function openPostgres(url: string, poolSize = 10): Promise<PostgresServer> {
  const pg = await loadDriver();
  const types = {
    getTypeParser: (oid: number, format?: 'text' | 'binary') =>
      // 20 is INT8: our counters stay far below 2^53.
      oid === 20 ? Number : pg.types.getTypeParser(oid as never, format as never),
  } as Pg.CustomTypesConfig;
  const config: Pg.PoolConfig = {
    connectionString: url,
    types,
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_TIMEOUT,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION,
    application_name: 'haivemind',
  };
  const pool = new pg.Pool({ ...config, max: poolSize });
  // An idle connection that the server closes is replaced at the next use.
  pool.on('error', () => undefined);
  // One that it closes inside a transaction says so to nobody; its next query fails and tells the caller.
  pool.on('connect', (client) => client.on('error', () => undefined));
  let schema: string;
  try {
    const answer = await pool.query<{ schema: string | null }>('select current_schema() as schema');
    const found = answer.rows[0]?.schema;
    if (found == null) throw new HaiveError('DATABASE_UNAVAILABLE', 'The search_path of the database names no schema');
    schema = found;
  } catch (thrown) {
    await pool.end().catch(() => undefined);
    const error = storageError(thrown);
    if (error instanceof HaiveError) throw error;
    throw new HaiveError('DATABASE_UNAVAILABLE', 'The database cannot be opened', { cause: thrown });
  }
  const channel = `haivemind_${schema}`.slice(0, 63);
  return {
    dialect: {
      ...guarded(new PostgresDialect({ pool }), null),
      createIntrospector: (db) => new SchemaIntrospector(db, schema),
    },
    schema,
    channel,
    async notify(message) {
      try {
        await pool.query('select pg_notify($1, $2)', [channel, message]);
      } catch (thrown) {
        throw storageError(thrown);
      }
    },
    listen: (onMessage, onUp) => listen(() => new pg.Client(config), channel, onMessage, onUp),
    close: () => pool.end(),
  };
}

async function listen(
  makeClient: () => Pg.Client,
  channel: string,
  onMessage: (message: string) => void,
  onUp: () => void,
): Promise<() => Promise<void>> {
  let stopped = false;
  let client: Pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let wait = RECONNECT_FIRST;
  const connect = async (): Promise<void> => {
    const mine = makeClient();
    let gone = false;
    const lost = () => {
      if (gone) return;
      gone = true;
      mine.end().catch(() => undefined);
      if (!stopped) again();
    };
    mine.on('error', lost);
    mine.on('end', lost);
    mine.on('notification', (n) => {
      if (n.payload !== undefined) onMessage(n.payload);
    });
    try {
      await mine.connect();
      await mine.query(`listen "${channel.replaceAll('"', '""')}"`);
    } catch {
      lost();
      return;
    }
    if (stopped) {
      await mine.end().catch(() => undefined);
      return;
    }
    client = mine;
    wait = RECONNECT_FIRST;
    onUp();
  };
  const again = () => {
    timer = setTimeout(() => void connect(), wait);
    wait = Math.min(wait * 2, RECONNECT_MAX);
  };
  await connect();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await client?.end().catch(() => undefined);
  };
}
