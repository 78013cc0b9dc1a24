import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { openStore, type Store } from '../../server/src/storage/store.ts';

export const POSTGRES_URL = process.env.HAIVEMIND_TEST_POSTGRES ?? 'postgres://root@127.0.0.1:5432/test';
export const ENGINES = ['sqlite', 'postgres'] as const;
export type EngineUnderTest = (typeof ENGINES)[number];

/** A database of its own: open it as often as wanted, drop it at the end. */
export interface TestDatabase {
  engine: EngineUnderTest;
  /** What openStore needs beside a clock. */
  options: { dataDir: string; databaseUrl?: string };
  open(clock?: () => Date): Promise<Store>;
  /** Closes every store it opened, then deletes the database. */
  drop(): Promise<void>;
}

/** Ticks a millisecond a call, so that orders by time are certain. */
export function tickingClock(start = '2026-01-01T00:00:00.000Z'): () => Date {
  let now = Date.parse(start);
  return () => new Date(now++);
}

export async function createDatabase(engine: EngineUnderTest): Promise<TestDatabase> {
  const dataDir = await mkdtemp(join(tmpdir(), 'hv store ü '));
  const stores: Store[] = [];
  const options: TestDatabase['options'] = { dataDir };
  let dropSchema = async () => {};
  if (engine === 'postgres') {
    const schema = `hv_${randomBytes(8).toString('hex')}`;
    await query(`create schema ${schema}`);
    options.databaseUrl = `${POSTGRES_URL}?options=${encodeURIComponent(`-c search_path=${schema}`)}`;
    dropSchema = () => query(`drop schema ${schema} cascade`);
  }
  return {
    engine,
    options,
    async open(clock = tickingClock()) {
      const store = await openStore({ ...options, clock });
      stores.push(store);
      return store;
    },
    async drop() {
      for (const store of stores) await store.close();
      await dropSchema();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function query(text: string): Promise<void> {
  const client = new pg.Client({ connectionString: POSTGRES_URL });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
