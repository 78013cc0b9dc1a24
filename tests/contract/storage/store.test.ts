// The store itself: opening, transactions, the seq, and what other processes hear of it.
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { chunksOf, inChunks } from '../../../server/src/storage/chunks.ts';
import { isUniqueViolation } from '../../../server/src/storage/dialect.ts';
import { appendEvent, eventsAfter } from '../../../server/src/storage/queries/events.ts';
import { insertMachine, setMachineGroups } from '../../../server/src/storage/queries/machines.ts';
import { FACTS_COUNTER, getMeta, nextCounter, setMeta } from '../../../server/src/storage/queries/meta.ts';
import { createDatabase, ENGINES } from '../engines.ts';
import { AT, database, machine, oneStore, store } from './one-store.ts';

describe.each(ENGINES)('store on %s', (engine) => {
  oneStore(engine);

  it('opens an existing database again and keeps what is in it', async () => {
    await store.transact((tx) => setMeta(tx, 'k', 'v'));
    await store.close();
    const again = await database.open();
    expect(await getMeta(again.read, 'k')).toBe('v');
    expect(await again.currentSeq()).toBe(0);
  });

  it('has a stamp that moves with the feed and with news of machines, and with nothing else', async () => {
    const first = await store.stamp();
    await store.transact((tx) => setMeta(tx, 'k', 'v'));
    expect(await store.stamp()).toEqual(first);
    await store.transact((tx) => store.nextSeq(tx));
    expect(await store.stamp()).toEqual({ ...first, seq: first.seq + 1 });
    await store.transact((tx) => nextCounter(tx, FACTS_COUNTER));
    expect(await store.stamp()).toEqual({ seq: first.seq + 1, facts: first.facts + 1 });
    await store.transact((tx) => nextCounter(tx, 'another'));
    expect(await store.stamp()).toEqual({ seq: first.seq + 1, facts: first.facts + 1 });
  });

  it('opens a new database from several processes at once', async () => {
    const fresh = await createDatabase(engine);
    try {
      const stores = await Promise.all([fresh.open(), fresh.open(), fresh.open(), fresh.open()]);
      for (const s of stores) expect(await s.currentSeq()).toBe(0);
    } finally {
      await fresh.drop();
    }
  });

  it('has the tables, columns and indexes that the seed names', async () => {
    const tables = await store.read.introspection.getTables();
    const columns = (name: string) => tables.find((t) => t.name === name)?.columns.map((c) => c.name) ?? [];
    expect(columns('plugins')).toEqual(
      expect.arrayContaining(
        'id name version description author_name author_org manifest checksum status created_at updated_at'.split(' '),
      ),
    );
    expect(columns('plugin_files')).toEqual(
      expect.arrayContaining(['id', 'plugin_id', 'file_path', 'file_type', 'checksum', 'created_at']),
    );
    expect(columns('plugin_installations')).toEqual(
      expect.arrayContaining(
        'id plugin_id machine_id installed_version installed_at updated_at status install_path error_message'.split(
          ' ',
        ),
      ),
    );
    expect(columns('plugin_dependencies')).toEqual(
      expect.arrayContaining(['plugin_id', 'depends_on_name', 'depends_on_version', 'dependency_type']),
    );
    expect(columns('plugin_machine_groups')).toEqual(expect.arrayContaining(['plugin_id', 'machine_group']));
    const query =
      engine === 'sqlite'
        ? sql<{ name: string }>`select name from sqlite_master where type = 'index'`
        : sql<{ name: string }>`select indexname as name from pg_indexes where schemaname = current_schema()`;
    const indexes = (await query.execute(store.read)).rows.map((r) => r.name);
    for (const name of [
      'idx_plugins_name',
      'idx_plugins_status',
      'idx_installations_machine_name',
      'idx_installations_status',
      'idx_machine_groups_group',
    ])
      expect(indexes).toContain(name);
  });

  it('refuses a database that a newer hub has written, and leaves it as it is', async () => {
    await store.transact(async (tx) => {
      await sql`insert into schema_migrations (name, timestamp) values ('9999-future', ${AT})`.execute(tx);
    });
    await store.close();
    await expect(database.open()).rejects.toMatchObject({ code: 'SCHEMA_NEWER' });
  });

  it('rolls everything back when a transaction throws, its seq too', async () => {
    const failing = store.transact(async (tx) => {
      await store.nextSeq(tx);
      await setMeta(tx, 'half', 'way');
      throw new Error('stop');
    });
    await expect(failing).rejects.toThrow('stop');
    expect(await store.currentSeq()).toBe(0);
    expect(await getMeta(store.read, 'half')).toBeUndefined();
  });

  it('does not show other readers what is not committed, nor make them wait', async () => {
    await store.transact(async (tx) => {
      await setMeta(tx, 'k', 'v');
      expect(await getMeta(store.read, 'k')).toBeUndefined();
    });
    expect(await getMeta(store.read, 'k')).toBe('v');
  });

  it('recognises unique violations and foreign keys', async () => {
    const insert = (id: string, name: string) => store.transact((tx) => insertMachine(tx, machine(id, name)));
    await insert('m1', 'one');
    const byName = await insert('m2', 'one').catch((e: unknown) => e);
    const byId = await insert('m1', 'two').catch((e: unknown) => e);
    expect(isUniqueViolation(byName)).toBe(true);
    expect(isUniqueViolation(byId)).toBe(true);
    const orphan = await store.transact((tx) => setMachineGroups(tx, 'nobody', ['g'])).catch((e: unknown) => e);
    expect(orphan).toBeInstanceOf(Error);
    expect(isUniqueViolation(orphan)).toBe(false);
  });

  it('asks long lists in chunks', async () => {
    expect(chunksOf(Array.from({ length: 1201 }, (_, i) => i)).map((c) => c.length)).toEqual([500, 500, 201]);
    expect(chunksOf(['a', 'a'])).toEqual([['a']]);
    await store.transact(async (tx) => {
      for (let i = 0; i < 3; i++) await setMeta(tx, `k${i}`, 'v');
    });
    const keys = Array.from({ length: 70_000 }, (_, i) => `k${i}`);
    const found = await inChunks(keys, (chunk) =>
      store.read.selectFrom('hub_meta').select('key').where('key', 'in', chunk).execute(),
    );
    expect(found.map((r) => r.key).sort()).toEqual(['k0', 'k1', 'k2']);
  });

  it('never shows a cursor a later seq before an earlier one', async () => {
    const second = await database.open();
    const writers = Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? store : second));
    const seen: number[] = [];
    let cursor = 0;
    let writing = true;
    const follow = (async () => {
      while (writing || cursor < 100) {
        for (const event of await eventsAfter(second.read, cursor, 50)) {
          seen.push(event.seq);
          cursor = event.seq;
        }
        await new Promise((r) => setTimeout(r, 1));
      }
    })();
    await Promise.all(
      writers.map((writer, i) =>
        writer.transact(async (tx) => {
          const seq = await writer.nextSeq(tx);
          if (i % 7 === 0) await new Promise((r) => setTimeout(r, 3));
          await appendEvent(tx, seq, 'test', AT, { i });
        }),
      ),
    );
    writing = false;
    await follow;
    expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  });

  it('tells every process of commits, and carries messages', async () => {
    const other = await database.open();
    const heard: number[] = [];
    const messages: string[] = [];
    const stop = await other.listen(
      (seq) => heard.push(seq),
      (channel, payload) => messages.push(`${channel}:${payload}`),
    );
    await store.transact(async (tx) => appendEvent(tx, await store.nextSeq(tx), 'test', AT, {}));
    const sender = engine === 'postgres' ? store : other;
    await sender.notify('progress', 'some "payload" with spaces');
    await expect.poll(() => [heard.at(-1), messages.length]).toEqual([1, 1]);
    expect(messages).toEqual(['progress:some "payload" with spaces']);
    await expect(sender.notify('progress', 'x'.repeat(9000))).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' });
    await stop();
  });
});
