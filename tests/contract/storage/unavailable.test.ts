// Databases that are away, come back, or cannot be opened.
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { appendEvent } from '../../../server/src/storage/queries/events.ts';
import { getMeta, setMeta } from '../../../server/src/storage/queries/meta.ts';
import { openStore } from '../../../server/src/storage/store.ts';
import { createDatabase, POSTGRES_URL, type TestDatabase } from '../engines.ts';

const AT = '2026-01-01T00:00:00.000Z';

describe('a PostgreSQL that cuts connections', () => {
  it('fails what was under way with a code, and serves the next; the feed is heard again', async () => {
    const database = await createDatabase('postgres');
    try {
      const store = await database.open();
      const heard: number[] = [];
      const stop = await store.listen(
        (seq) => heard.push(seq),
        () => {},
      );
      const cut = store.transact(async (tx) => {
        await store.nextSeq(tx);
        const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx);
        await sql`select pg_terminate_backend(${rows[0]?.pid}::int)`.execute(store.read);
        await setMeta(tx, 'k', 'v');
      });
      await expect(cut).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
      expect(await getMeta(store.read, 'k')).toBeUndefined();
      const channel = sql<{
        pid: number;
      }>`select pid from pg_stat_activity where query = ${`listen "haivemind_${schemaOf(database)}"`}`;
      for (const { pid } of (await channel.execute(store.read)).rows) {
        await sql`select pg_terminate_backend(${pid}::int)`.execute(store.read);
      }
      await store.transact(async (tx) => appendEvent(tx, await store.nextSeq(tx), 'test', AT, {}));
      await expect.poll(() => heard.at(-1)).toBe(1);
      await stop();
    } finally {
      await database.drop();
    }
  });
});

describe('a PostgreSQL that is closed for maintenance', () => {
  const ask = async (...queries: string[]) => {
    const client = new pg.Client({ connectionString: POSTGRES_URL });
    await client.connect();
    for (const query of queries) await client.query(query);
    await client.end();
  };

  it('is unavailable, and serves again when it is opened', async () => {
    const name = `hv_closed_${randomBytes(6).toString('hex')}`;
    await ask(`create database ${name}`);
    const databaseUrl = new URL(POSTGRES_URL);
    databaseUrl.pathname = `/${name}`;
    const store = await openStore({
      dataDir: '/nonexistent',
      databaseUrl: databaseUrl.href,
      clock: () => new Date(AT),
    });
    try {
      await ask(
        `alter database ${name} allow_connections false`,
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`,
      );
      // The first one may meet the connection that was cut.
      await store.currentSeq().catch(() => undefined);
      await expect(store.currentSeq()).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
      await ask(`alter database ${name} allow_connections true`);
      expect(await store.currentSeq()).toBe(0);
    } finally {
      await store.close();
      await ask(`drop database ${name} with (force)`);
    }
  });
});

describe('opening what cannot be opened', () => {
  const clock = () => new Date(AT);
  it('says so for a server that does not answer and an address that is not one', async () => {
    const dataDir = '/nonexistent';
    await expect(openStore({ dataDir, databaseUrl: 'postgres://root@127.0.0.1:1/x', clock })).rejects.toMatchObject({
      code: 'DATABASE_UNAVAILABLE',
    });
    await expect(openStore({ dataDir, databaseUrl: 'mysql://x', clock })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });
  it('says so for a file that is no database, and leaves it as it is', async () => {
    const database = await createDatabase('sqlite');
    await writeFile(
      join(database.options.dataDir, 'plugins.db'),
      'this is not a database at all, but some text\n'.repeat(50),
    );
    await expect(database.open()).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    await database.drop();
  });
});

function schemaOf(database: TestDatabase): string {
  return /search_path=(\w+)/.exec(decodeURIComponent(database.options.databaseUrl ?? ''))?.[1] ?? '';
}
