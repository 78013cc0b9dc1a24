import type { Socket } from 'node:net';
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
  /** Rows of a read that has to be quick: what is not answered at once has lost its server, and its connection is given up. */
  look<R extends object>(text: string): Promise<R[]>;
  notify(message: string): Promise<void>;
  /** From now on a connection that is silent under a query is given up. Not before: a migration may take as long as it needs. */
  expectAnswers(): void;
  /** Keeps a LISTEN connection, reconnecting by itself; `onUp` runs after each (re)connection. */
  listen(onMessage: (message: string) => void, onUp: () => void): Promise<() => Promise<void>>;
  /** Waits for the pool's end, and cuts the connections that hold it up. */
  ending(ended: Promise<void>): Promise<void>;
}

const CONNECT_TIMEOUT = 10_000;
/** A hub that vanished inside a transaction must not hold the counter row for ever. */
const IDLE_IN_TRANSACTION = 60_000;
/** A server that vanished without a word is told from one that works or waits for that vanished hub. */
const SILENCE = 75_000;
const LOOK = 5000;
/** An idle connection asks after so long whether its server is still there. */
const KEEP_ALIVE = 30_000;
const GOODBYE = 2000;
const RECONNECT_FIRST = 100;
const RECONNECT_MAX = 5000;

interface Patience {
  /** Connections of the pool. */
  poolSize?: number;
  /** Milliseconds without a byte after which a connection under a query is given up. */
  silence?: number;
}

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
export async function openPostgres(
  url: string,
  { poolSize = 10, silence = SILENCE }: Patience = {},
): Promise<PostgresServer> {
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
    keepAliveInitialDelayMillis: KEEP_ALIVE,
    connectionTimeoutMillis: CONNECT_TIMEOUT,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION,
    application_name: 'haivemind',
  };
  const pool = new pg.Pool({ ...config, max: poolSize });
  // An idle connection that the server closes is replaced at the next use.
  pool.on('error', () => undefined);
  // One that it closes inside a transaction says so to nobody; its next query fails and tells the caller.
  const streams = new Set<Socket>();
  let expecting = false;
  const giveUpOn = (stream: Socket): void => {
    stream.setTimeout(silence, () => stream.destroy(new Error('Connection terminated: the server fell silent')));
  };
  pool.on('connect', (client) => {
    client.on('error', () => undefined);
    const stream = streamOf(client);
    if (expecting) giveUpOn(stream);
    streams.add(stream.once('close', () => streams.delete(stream)));
  });
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
    async look<R extends object>(text: string) {
      try {
        return (await pool.query<R>({ text, query_timeout: LOOK } as Pg.QueryConfig)).rows;
      } catch (thrown) {
        throw storageError(thrown);
      }
    },
    async notify(message) {
      try {
        await pool.query('select pg_notify($1, $2)', [channel, message]);
      } catch (thrown) {
        throw storageError(thrown);
      }
    },
    expectAnswers() {
      expecting = true;
      for (const stream of streams) giveUpOn(stream);
    },
    listen: (onMessage, onUp) => listen(() => new pg.Client(config), channel, onMessage, onUp),
    ending: (ended) =>
      endOrCut(ended, () => {
        for (const stream of streams) stream.destroy();
      }),
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
    if (client === undefined) return;
    const stream = streamOf(client);
    await endOrCut(client.end(), () => stream.destroy()).catch(() => undefined);
  };
}

const streamOf = (client: Pg.ClientBase): Socket =>
  (client as unknown as { connection: { stream: Socket } }).connection.stream;

/** A server that is gone answers no goodbye. */
async function endOrCut(ended: Promise<void>, cut: () => void): Promise<void> {
  const timer = setTimeout(cut, GOODBYE);
  await ended.finally(() => clearTimeout(timer));
}
