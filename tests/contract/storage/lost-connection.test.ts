import { Kysely, sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openPostgres } from '../../../server/src/storage/postgres.ts';
import { openStore } from '../../../server/src/storage/store.ts';
import { createDatabase, type TestDatabase } from '../engines.ts';
import { type LosingServer, losingServer } from '../lost-server.ts';

describe('a PostgreSQL that is gone without a word', () => {
  let server: LosingServer;
  let database: TestDatabase;
  let databaseUrl: string;
  beforeEach(async () => {
    server = await losingServer();
    database = await createDatabase('postgres');
    databaseUrl = server.through(database.options.databaseUrl ?? '');
  });
  afterEach(async () => {
    server.close();
    await database.drop();
  });

  it('is asked anew by what every request waits for, and let go at the end', async () => {
    const store = await openStore({ dataDir: '/nonexistent', databaseUrl, clock: () => new Date(0) });
    await store.listen(
      () => {},
      () => {},
    );
    await store.stamp();
    server.lose();
    await expect(store.stamp()).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(await store.stamp()).toMatchObject({ seq: 0 });
    expect(await store.currentSeq()).toBe(0);
    server.lose();
    const under = store.read.selectFrom('machines').selectAll().execute();
    const refused = expect(under).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    await store.close();
    await refused;
  });

  it('costs who waits for it a failure, not for ever', async () => {
    const { dialect, expectAnswers } = await openPostgres(databaseUrl, { silence: 500 });
    const db = new Kysely({ dialect });
    expectAnswers();
    const one = sql<{ n: number }>`select 1 as n`;
    expect((await one.execute(db)).rows).toEqual([{ n: 1 }]);
    server.lose();
    await expect(one.execute(db)).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect((await one.execute(db)).rows).toEqual([{ n: 1 }]);
    await db.destroy();
  });

  it('is not what a long migration is taken for', async () => {
    const { dialect, expectAnswers } = await openPostgres(databaseUrl, { silence: 500 });
    const db = new Kysely({ dialect });
    const long = sql`select pg_sleep(1.5)`;
    expect((await long.execute(db)).rows).toHaveLength(1);
    expectAnswers();
    await expect(long.execute(db)).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    await db.destroy();
  });
});
