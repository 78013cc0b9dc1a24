import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chunksOf, inChunks } from '../../../server/src/storage/chunks.ts';
import { isUniqueViolation } from '../../../server/src/storage/dialect.ts';
import { appendAudit, findAuditBreak, listAudit } from '../../../server/src/storage/queries/audit.ts';
import { appendEvent, eventsAfter } from '../../../server/src/storage/queries/events.ts';
import { installationCounts, recount } from '../../../server/src/storage/queries/installation-counts.ts';
import { installationsOf, replaceInstallations } from '../../../server/src/storage/queries/installations.ts';
import {
  deleteMachine,
  findMachine,
  insertMachine,
  listMachines,
  setMachineGroups,
  updateMachineFacts,
} from '../../../server/src/storage/queries/machines.ts';
import { FACTS_COUNTER, getMeta, nextCounter, setMeta, setMetaOnce } from '../../../server/src/storage/queries/meta.ts';
import { clearOverrides, listOverrides, setOverride } from '../../../server/src/storage/queries/overrides.ts';
import {
  findTokenByHash,
  insertToken,
  listTokens,
  revokeToken,
  touchTokens,
} from '../../../server/src/storage/queries/tokens.ts';
import { openStore, type Store } from '../../../server/src/storage/store.ts';
import { createDatabase, ENGINES, POSTGRES_URL, type TestDatabase } from '../engines.ts';

const AT = '2026-01-01T00:00:00.000Z';
const machine = (id: string, name: string) => ({
  id,
  name,
  platform: 'linux',
  haivemindVersion: '1.0.0',
  joinedAt: AT,
  groups: ['b', 'a'],
  capabilities: ['x'],
});

describe.each(ENGINES)('store on %s', (engine) => {
  let database: TestDatabase;
  let store: Store;
  beforeEach(async () => {
    database = await createDatabase(engine);
    store = await database.open();
  });
  afterEach(() => database.drop());

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
    await until(() => heard.at(-1) === 1 && messages.length === 1);
    expect(messages).toEqual(['progress:some "payload" with spaces']);
    await expect(sender.notify('progress', 'x'.repeat(9000))).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' });
    await stop();
  });

  it('keeps meta values and counters', async () => {
    await store.transact(async (tx) => {
      await setMeta(tx, 'a', '1');
      await setMeta(tx, 'a', '2');
      expect(await setMetaOnce(tx, 'a', '3')).toBe('2');
      expect(await setMetaOnce(tx, 'b', '4')).toBe('4');
      expect([await nextCounter(tx, 'c'), await nextCounter(tx, 'c')]).toEqual([1, 2]);
    });
  });

  it('finds tokens by hash, also revoked ones, and revokes once', async () => {
    await store.transact(async (tx) => {
      await insertToken(tx, { id: 't1', name: 'op', hash: 'h1', roles: ['operator'], createdAt: AT });
      await touchTokens(tx, ['t1'], AT);
    });
    expect(await findTokenByHash(store.read, 'h1')).toEqual({
      id: 't1',
      name: 'op',
      origin: null,
      roles: ['operator'],
      machineId: null,
      namePattern: null,
      createdAt: AT,
      expiresAt: null,
      lastUsedAt: AT,
      revokedAt: null,
    });
    expect(await findTokenByHash(store.read, 'h2')).toBeUndefined();
    expect(await store.transact((tx) => revokeToken(tx, 't1', AT))).toBe(true);
    expect(await store.transact((tx) => revokeToken(tx, 't1', AT))).toBe(false);
    expect((await listTokens(store.read))[0]?.revokedAt).toBe(AT);
  });

  it('pages machines by name, filters by group, and forgets one with all that hangs on it', async () => {
    await store.transact(async (tx) => {
      for (const n of ['c', 'a', 'b']) await insertMachine(tx, machine(`m${n}`, n));
      await setMachineGroups(tx, 'mb', []);
      await setOverride(tx, override('ma', 'p', 'pin'));
      await replaceInstallations(tx, 'ma', [{ name: 'p', version: '1.0.0', digest: 'd', state: 'verified' }], AT);
    });
    const names = async (query: { limit: number; after?: string; group?: string }) =>
      (await listMachines(store.read, query)).map((m) => m.name);
    expect(await names({ limit: 2 })).toEqual(['a', 'b']);
    expect(await names({ limit: 2, after: 'b' })).toEqual(['c']);
    expect(await names({ limit: 9, group: 'a' })).toEqual(['a', 'c']);
    expect(await findMachine(store.read, 'a')).toMatchObject({ id: 'ma', groups: ['a', 'b'], capabilities: ['x'] });
    expect(await store.transact((tx) => deleteMachine(tx, 'ma'))).toBe(true);
    expect(await store.transact((tx) => deleteMachine(tx, 'ma'))).toBe(false);
    expect(await listOverrides(store.read)).toEqual([]);
    expect(await installationsOf(store.read, 'ma')).toEqual([]);
  });

  it('replaces what a machine has, and keeps the time of what did not change', async () => {
    const report = (version: string, state: string) => ({ name: 'p', version, digest: 'd', state });
    const later = '2026-02-01T00:00:00.000Z';
    const replace = (rows: ReturnType<typeof report>[], at: string) =>
      store.transact((tx) => replaceInstallations(tx, 'm', rows, at));
    await store.transact((tx) => insertMachine(tx, machine('m', 'm')));
    await replace([report('1.0.0', 'verified')], AT);
    await replace([report('1.0.0', 'verified')], later);
    expect(await installationsOf(store.read, 'm')).toMatchObject([{ version: '1.0.0', updatedAt: AT }]);
    await replace([report('1.0.0', 'loaded')], later);
    expect(await installationsOf(store.read, 'm')).toMatchObject([
      { state: 'loaded', installedAt: AT, updatedAt: later },
    ]);
    await replace([report('2.0.0', 'failed')], later);
    expect(await installationsOf(store.read, 'm')).toMatchObject([{ version: '2.0.0' }]);
  });

  it('keeps count of the machines that have a plugin, whoever reports, fails or leaves', async () => {
    const row = (name: string, state = 'verified', version = '1.0.0') => ({ name, version, digest: 'd', state });
    const tell = (id: string, rows: ReturnType<typeof row>[], only?: string[]) =>
      store.transact(async (tx) => {
        await updateMachineFacts(tx, id, { lastSeen: AT });
        await replaceInstallations(tx, id, rows, AT, only === undefined ? {} : { only });
      });
    const counts = async () => {
      const kept = await installationCounts(store.read, ['p', 'q', 'none']);
      await store.transact(recount);
      expect(await installationCounts(store.read, ['p', 'q', 'none'])).toEqual(kept);
      return Object.fromEntries(kept);
    };
    for (const id of ['a', 'b', 'c']) await store.transact((tx) => insertMachine(tx, machine(id, id)));
    await Promise.all(['a', 'b', 'c'].map((id, i) => tell(id, i === 0 ? [row('q'), row('p')] : [row('p'), row('q')])));
    expect(await counts()).toEqual({ p: 3, q: 3 });
    await tell('a', [row('p', 'loaded', '2.0.0')], ['p']);
    await tell('b', [row('p', 'failed', '2.0.0')], ['p']);
    expect(await counts()).toEqual({ p: 2, q: 3 });
    // The same said twice at once counts once.
    await Promise.all([tell('a', [], ['q']), tell('a', [], ['q']), tell('c', [row('p'), row('p', 'failed', '2.0.0')])]);
    expect(await counts()).toEqual({ p: 2, q: 1 });
    await store.transact((tx) => deleteMachine(tx, 'b'));
    await store.transact((tx) => deleteMachine(tx, 'c'));
    expect(await counts()).toEqual({ p: 1 });
  });

  it('lets an install be held, and an exclusion replace both', async () => {
    const kinds = async () => (await listOverrides(store.read, 'm')).map((o) => o.kind);
    await store.transact((tx) => insertMachine(tx, machine('m', 'm')));
    await store.transact((tx) => setOverride(tx, override('m', 'p', 'install')));
    await store.transact((tx) => setOverride(tx, override('m', 'p', 'hold')));
    expect(await kinds()).toEqual(['hold', 'install']);
    await store.transact((tx) => setOverride(tx, override('m', 'p', 'exclude')));
    expect(await kinds()).toEqual(['exclude']);
    await store.transact((tx) => setOverride(tx, override('m', 'p', 'install')));
    expect(await kinds()).toEqual(['install']);
    expect(await store.transact((tx) => clearOverrides(tx, ['m'], 'p', { kinds: ['hold'] }))).toBe(0);
    expect(await store.transact((tx) => clearOverrides(tx, ['m'], 'p'))).toBe(1);
  });

  it('chains the audit, and finds where it was changed', async () => {
    const entry = (target: string) => ({ actor: 'me', action: 'test', target, data: { n: 1 } });
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => store.transact((tx) => appendAudit(tx, AT, entry(`t${i}`)))),
    );
    expect(await findAuditBreak(store.read)).toBeNull();
    expect((await listAudit(store.read, 5, 4)).map((r) => r.id)).toEqual([3, 2, 1]);
    await store.transact((tx) => tx.updateTable('audit').set({ actor: 'you' }).where('id', '=', 7).execute());
    expect(await findAuditBreak(store.read)).toBe(7);
    await store.transact((tx) => tx.deleteFrom('audit').where('id', '=', 3).execute());
    expect(await findAuditBreak(store.read)).toBe(3);
  });
});

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
      await until(() => heard.at(-1) === 1);
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

function override(machineId: string, name: string, kind: 'install' | 'pin' | 'hold' | 'exclude') {
  return { machineId, name, kind, range: '*', forceNonce: null, byOperator: true, by: 'me', at: AT };
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (holds()) return;
    await new Promise((r) => setTimeout(r, 20));
  }
  throw new Error('it did not happen');
}

function schemaOf(database: TestDatabase): string {
  return /search_path=(\w+)/.exec(decodeURIComponent(database.options.databaseUrl ?? ''))?.[1] ?? '';
}
