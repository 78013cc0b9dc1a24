import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { backup, restore } from '../../../server/src/storage/backup.ts';
import { findAuditBreak } from '../../../server/src/storage/queries/audit.ts';
import { appendEvent } from '../../../server/src/storage/queries/events.ts';
import { installationCounts } from '../../../server/src/storage/queries/installation-counts.ts';
import { replaceInstallations } from '../../../server/src/storage/queries/installations.ts';
import { getLineage, getMeta, setMeta } from '../../../server/src/storage/queries/meta.ts';
import { listOverrides, setOverride } from '../../../server/src/storage/queries/overrides.ts';
import type { Store } from '../../../server/src/storage/store.ts';
import { createDatabase, ENGINES, type TestDatabase } from '../engines.ts';
import { operator, pack, startTestHub, type TestHub } from '../registry/test-hub.ts';

const AT = '2026-01-01T00:00:00.000Z';
const TABLES = [
  'plugins',
  'plugin_files',
  'plugin_surfaces',
  'approval_votes',
  'plugin_dependencies',
  'plugin_machine_groups',
  'plugin_installations',
  'blobs',
  'publications',
  'publisher_keys',
  'machines',
  'machine_groups',
  'machine_capabilities',
  'overrides',
  'ordered_versions',
  'tokens',
  'events',
  'audit',
  'counters',
  'hub_meta',
] as const;

describe.each(ENGINES)('backup of %s', (engine) => {
  let t: TestHub;
  let file: string;
  const opened: TestDatabase[] = [];
  beforeEach(async () => {
    t = await startTestHub(engine);
    file = join(t.hub.config.dataDir, 'the backup.hvb');
    await t.addMachine('m', ['web'], ['x']);
    await t.register(pack('alpha', '1.0.0', { files: { 'b.bin': Buffer.from([0, 1, 2, 255]), 'e.txt': '' } }));
    await t.call('publish', { body: { plugin_id: 'alpha', target_groups: ['web'] } });
    await t.call('install', { as: operator, params: { id: 'alpha' }, body: { force: true } });
  });
  afterEach(async () => {
    await t.drop();
    for (const database of opened.splice(0)) await database.drop();
  });

  const empty = async (other: (typeof ENGINES)[number]): Promise<Store> => {
    const database = await createDatabase(other);
    opened.push(database);
    return database.open();
  };
  const content = async (store: Store): Promise<Record<string, unknown[]>> => {
    const all: Record<string, unknown[]> = {};
    for (const table of TABLES) {
      const rows = await store.read.selectFrom(table).selectAll().execute();
      all[table] = rows.map((r) => JSON.stringify(r, Object.keys(r).sort())).sort();
    }
    return all;
  };

  /** A restored backup of a hub that had not gone through `migration` yet. */
  const fromBefore = async (migration: string, keep: (line: string) => boolean = () => true): Promise<Store> => {
    await t.store.backup(file);
    const lines = gunzipSync(await readFile(file))
      .toString()
      .trimEnd()
      .split('\n')
      .slice(0, -1);
    const older = lines
      .filter(keep)
      .map((line, i) => (i === 0 ? line.replace(new RegExp(`,"${migration}[^\\]]*`), '') : line));
    const hash = createHash('sha256').update(older.map((line) => `${line}\n`).join(''));
    older.push(JSON.stringify({ end: true, rows: older.length - 1, sha256: hash.digest('hex') }));
    await writeFile(file, gzipSync(`${older.join('\n')}\n`));
    const target = await empty(engine);
    await restore(file, target);
    return target;
  };

  it.each(ENGINES)('comes back whole on %s, and works on', async (other) => {
    const has = [{ name: 'alpha', version: '1.0.0', digest: 'd', state: 'verified' }];
    await t.store.transact((tx) => replaceInstallations(tx, 'm_m', has, AT));
    await t.store.backup(file);
    const target = await empty(other);
    const { rows } = await restore(file, target);
    expect(await getLineage(target.read)).toEqual([[expect.stringMatching(/^[\w-]{12}$/), await t.store.currentSeq()]]);
    await target.transact((tx) => tx.deleteFrom('hub_meta').where('key', '=', 'lineage').execute());
    expect(await content(target)).toEqual(await content(t.store));
    expect(rows).toBe(Object.values(await content(t.store)).flat().length);
    expect(await findAuditBreak(target.read)).toBeNull();
    expect(await installationCounts(target.read, ['alpha'])).toEqual(new Map([['alpha', 1]]));
    // New rows must not collide with the restored ones.
    const before = t.store;
    t.hub.store = target;
    expect(await t.register(pack('beta', '1.0.0', { manifest: { dependencies: ['alpha'] } }))).toMatchObject({
      created: true,
    });
    expect(await target.currentSeq()).toBe((await before.currentSeq()) + 1);
    t.hub.store = before;
  });

  it('comes back with texts that hold what newer Nodes take for ends of lines', async () => {
    await t.store.transact((tx) => setMeta(tx, 'told', 'one\u2028two\u2029three\u0085\r\nfour'));
    await t.store.backup(file);
    const target = await empty(engine);
    await restore(file, target);
    expect(await getMeta(target.read, 'told')).toBe('one\u2028two\u2029three\u0085\r\nfour');
  });

  it('of a hub that remembered no orders takes those in force, and what machines had, for ordered', async () => {
    for (const name of ['wanted', 'held', 'there']) await t.register(pack(name, '1.0.0'));
    const params = (name: string) => ({ machine: 'm', name });
    await t.call('install', { as: operator, params: { id: 'wanted@1.0.0' }, body: {} });
    const m = { ...operator, roles: ['machine' as const], machineId: 'm_m' };
    await t.call('setOverride', { as: m, params: params('held'), body: { kind: 'hold', range: '1.0.0' } });
    const has = [{ name: 'there', version: '1.0.0', digest: 'd', state: 'verified' }];
    await t.store.transact((tx) => replaceInstallations(tx, 'm_m', has, AT));
    const target = await fromBefore('0120', (line) => !line.startsWith('{"t":"ordered_versions"'));
    const orders = await target.read.selectFrom('ordered_versions').select('plugin_id').execute();
    const exact = orders.map((o) => o.plugin_id).filter((id) => !id.endsWith('*'));
    expect(exact.sort()).toEqual(['plugin_there_1.0.0', 'plugin_wanted_1.0.0']);
  });

  it('goes through what later migrations do to rows, and through that alone', async () => {
    await t.store.transact(async (tx) => {
      const hold = { machineId: 'm_m', kind: 'hold' as const, range: '1.0.0', forceNonce: null, byOperator: false };
      for (const name of ['../odd', 'even']) await setOverride(tx, { ...hold, name, by: 'm', at: AT });
    });
    const rows = async (store: Store) => [
      (await store.read.selectFrom('plugin_surfaces').select('plugin_id').execute()).map((row) => row.plugin_id),
      (await listOverrides(store.read, 'm_m')).map((o) => o.name),
    ];
    const all = [['plugin_alpha_1.0.0'], ['../odd', 'alpha', 'even']];
    expect(await rows(t.store)).toEqual(all);
    expect(await rows(await fromBefore('0200'))).toEqual(all);
    expect(await rows(await fromBefore('0190'))).toEqual([[], all[1]]);
    expect(await rows(await fromBefore('0150'))).toEqual([[], all[1]]);
    expect(await rows(await fromBefore('0140'))).toEqual([[], ['alpha', 'even']]);
  });

  it('is of one moment, however much is written meanwhile', async () => {
    let writing = true;
    let written = 0;
    const writer = (async () => {
      while (writing) {
        await t.store.transact(async (tx) => {
          const seq = await t.store.nextSeq(tx);
          await appendEvent(tx, seq, 'test', AT, {});
          await setMeta(tx, 'last', String(seq));
        });
        written++;
        await new Promise((r) => setImmediate(r));
      }
    })();
    const before = written;
    for (let i = 0; i < 5; i++) {
      await backup(t.store, `${file}${i}`);
      const target = await empty('sqlite');
      await restore(`${file}${i}`, target);
      const seq = await target.currentSeq();
      const last = await target.read
        .selectFrom('events')
        .select((eb) => eb.fn.max('seq').as('seq'))
        .executeTakeFirstOrThrow();
      expect(last.seq).toBe(seq);
      expect(Number((await getMeta(target.read, 'last')) ?? seq)).toBe(seq);
    }
    writing = false;
    await writer;
    expect(written).toBeGreaterThan(before);
  });

  it('goes into an empty database only', async () => {
    await t.store.backup(file);
    await expect(restore(file, t.store)).rejects.toMatchObject({ code: 'BACKUP_INVALID' });
    const target = await empty(engine);
    await restore(file, target);
    await expect(restore(file, target)).rejects.toMatchObject({ code: 'BACKUP_INVALID' });
  });

  it('is refused when it is cut, changed, by a newer hub, or something else; nothing is restored', async () => {
    await t.store.backup(file);
    const whole = await readFile(file);
    const lines = gunzipSync(whole).toString().trimEnd().split('\n');
    const target = await empty(engine);
    const attempt = async (bytes: Buffer): Promise<string> => {
      await writeFile(file, bytes);
      const refusal = (await restore(file, target).catch((e: unknown) => e)) as { code: string };
      return refusal.code;
    };
    const zip = (changed: string[]) => gzipSync(`${changed.join('\n')}\n`);
    expect(await attempt(whole.subarray(0, whole.length - 20))).toBe('BACKUP_INVALID');
    expect(await attempt(Buffer.from('hello'))).toBe('BACKUP_INVALID');
    expect(await attempt(gzipSync('hello'))).toBe('BACKUP_INVALID');
    expect(await attempt(Buffer.alloc(0))).toBe('BACKUP_INVALID');
    expect(await attempt(zip(lines.slice(0, -1)))).toBe('BACKUP_INVALID');
    expect(await attempt(zip(lines.filter((_, i) => i !== 3)))).toBe('BACKUP_INVALID');
    expect(await attempt(zip(lines.map((l) => l.replace('alpha', 'alphb'))))).toBe('BACKUP_INVALID');
    expect(await target.currentSeq()).toBe(0);
    expect(await attempt(whole)).toBeUndefined();
  });

  it('does not keep other reads waiting, and ends with the one who asked for it', async () => {
    await t.store.longSnapshot(async (tx) => {
      expect((await tx.selectFrom('plugins').selectAll().execute()).length).toBe(1);
      await t.register(pack('later', '1.0.0'));
      expect((await t.store.read.selectFrom('plugins').selectAll().execute()).length).toBe(2);
      expect((await tx.selectFrom('plugins').selectAll().execute()).length).toBe(1);
    });
  });

  it('leaves no half file behind where it cannot be written', async () => {
    const folder = join(t.hub.config.dataDir, 'not there');
    await expect(t.store.backup(join(folder, 'x.hvb'))).rejects.toMatchObject({ code: 'IO_ERROR' });
    expect((await readdir(t.hub.config.dataDir)).filter((n) => n.includes('.tmp'))).toEqual([]);
  });
});
