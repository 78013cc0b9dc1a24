import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { type Insertable, sql, type Transaction } from 'kysely';
import { HaiveError } from '../domain/errors.ts';
import { chunksOf } from './chunks.ts';
import { fileError } from './file-error.ts';
import { handoff } from './handoff.ts';
import { namedOverrides } from './migrations/0140-named-overrides.ts';
import { surfacesAnew } from './migrations/0150-surfaces-anew.ts';
import { recount } from './queries/installation-counts.ts';
import { beginLineage } from './queries/meta.ts';
import { assumeOrders } from './queries/ordered-versions.ts';
import type { BackupSize, Store } from './store.ts';
import type { Tables } from './tables/index.ts';

/**
 * One portable file for both engines: gzip of JSON lines: a head, every table's rows in an order that foreign keys allow,
 * and a trailer with the number of rows and the sha256 of all lines before it.
 */
const BACKUP_FORMAT = 1;

type TableName = keyof Tables;

/**
 * In an order that satisfies the foreign keys, each with the columns that order its pages. What can be counted from the others
 * (installation_counts) is not among them.
 */
const TABLES: readonly (readonly [TableName, readonly string[]])[] = [
  ['hub_meta', ['key']],
  ['counters', ['name']],
  ['blobs', ['sha256']],
  ['plugins', ['id']],
  ['plugin_files', ['id']],
  ['plugin_dependencies', ['id']],
  ['plugin_machine_groups', ['id']],
  ['publications', ['id']],
  ['machines', ['id']],
  ['machine_groups', ['machine_id', 'group_name']],
  ['machine_keys', ['machine_id']],
  ['machine_capabilities', ['machine_id', 'capability']],
  ['overrides', ['machine_id', 'plugin_name', 'kind']],
  ['ordered_versions', ['machine_id', 'plugin_id']],
  ['plugin_installations', ['id']],
  ['tokens', ['id']],
  ['publisher_keys', ['keyid', 'token_id']],
  ['plugin_surfaces', ['plugin_id']],
  ['plugin_origins', ['plugin_id']],
  ['accepted_surfaces', ['name']],
  ['approval_votes', ['digest', 'by']],
  ['group_quorums', ['group']],
  ['approvals', ['digest']],
  ['held_publications', ['plugin_id']],
  ['revocations', ['plugin_id']],
  ['revocation_holders', ['plugin_id', 'machine_id']],
  ['key_statements', ['keyid']],
  ['token_limits', ['token_id']],
  ['events', ['seq']],
  ['audit', ['id']],
  ['memories', ['id']],
  ['broadcasts', ['id']],
  ['acknowledgements', ['item_id', 'machine_id']],
  ['tasks', ['id']],
  ['agents', ['machine_id']],
  ['usage_counts', ['machine_id', 'session', 'plugin_name', 'version', 'kind', 'component', 'day']],
  ['usage_days', ['plugin_name', 'version', 'kind', 'component', 'group_name', 'day']],
];

/** What migrations do to rows, in their order: the rows of a backup from before them come in when they are done. */
const CHANGES_OF_ROWS: readonly (readonly [migration: string, change: (tx: Transaction<Tables>) => Promise<void>])[] = [
  ['0120-ordered-versions', assumeOrders],
  ['0140-named-overrides', namedOverrides.up],
  ['0190-surfaces-anew', surfacesAnew.up],
];

type Row = Record<string, unknown>;

/**
 * Writes everything of one moment to `file` while others go on reading and writing; the file appears only when complete.
 * @throws HaiveError DATABASE_UNAVAILABLE, and what the file system says (IO_ERROR, DISK_FULL, READ_ONLY)
 */
export async function backup(store: Store, file: string): Promise<BackupSize> {
  const temp = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  const count = { rows: 0, versions: 0 };
  try {
    await pipeline(
      Readable.from(linesOf(store, count), { objectMode: false }),
      createGzip({ level: 6 }),
      createWriteStream(temp, { mode: 0o600, flags: 'wx', flush: true }),
    );
    const { size } = await stat(temp);
    await rename(temp, file);
    const folder = await open(dirname(file), 'r').catch(() => undefined);
    await folder?.sync().catch(() => undefined);
    await folder?.close();
    return { ...count, bytes: size };
  } catch (thrown) {
    await rm(temp, { force: true });
    throw fileError(thrown, file);
  }
}

async function* linesOf(store: Store, count: { rows: number; versions: number }): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  const line = (value: unknown): Buffer => {
    const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
    hash.update(bytes);
    return bytes;
  };
  // The pages come out of one transaction; a generator cannot yield from inside its callback, so they cross by a handoff.
  const pages = handoff<Buffer>();
  const walk = store.longSnapshot(async (tx) => {
    const migrations = await sql<{ name: string }>`select name from schema_migrations order by name`.execute(tx);
    await pages.put(
      line({
        haivemind_backup: BACKUP_FORMAT,
        made_at: store.clock().toISOString(),
        migrations: migrations.rows.map((r) => r.name),
      }),
    );
    for (const [table, keys] of TABLES) {
      for await (const row of rowsOf(tx, table, keys)) {
        count.rows++;
        if (table === 'plugins') count.versions++;
        await pages.put(line({ t: table, r: toJson(row) }));
      }
    }
  });
  const walked = walk.then(pages.end, pages.fail);
  try {
    yield* pages.values();
  } finally {
    await walked;
  }
  yield Buffer.from(`${JSON.stringify({ end: true, rows: count.rows, sha256: hash.digest('hex') })}\n`);
}

async function* rowsOf(tx: Transaction<Tables>, table: TableName, keys: readonly string[]): AsyncGenerator<Row> {
  const size = table === 'blobs' ? 20 : 500;
  const order = sql.join(keys.map((k) => sql.ref(k)));
  let after: unknown[] | undefined;
  for (;;) {
    const where = after === undefined ? sql`` : sql` where (${order}) > (${sql.join(after)})`;
    const page =
      await sql<Row>`select * from ${sql.table(table)}${where} order by ${order} limit ${sql.lit(size)}`.execute(tx);
    yield* page.rows;
    const last = page.rows.at(-1);
    if (last === undefined || page.rows.length < size) return;
    after = keys.map((k) => last[k]);
  }
}

function toJson(row: Row): Row {
  const out: Row = {};
  for (const [key, value] of Object.entries(row))
    out[key] = Buffer.isBuffer(value) ? { b64: value.toString('base64') } : value;
  return out;
}

function fromJson(row: Row): Row {
  const out: Row = {};
  for (const [key, value] of Object.entries(row)) {
    const b64 = (value as { b64?: unknown } | null)?.b64;
    out[key] = typeof b64 === 'string' ? Buffer.from(b64, 'base64') : value;
  }
  return out;
}

/**
 * Reads a backup into an empty database, all or nothing, and begins a history there that goes on from the backup's.
 * @returns how many rows there were
 * @throws HaiveError BACKUP_INVALID when the file is cut, changed or by a newer hub, or the database is not empty
 */
export async function restore(file: string, store: Store): Promise<{ rows: number }> {
  // First pass: nothing is written before the trailer's hash has been found right.
  let rows = 0;
  for await (const item of verifiedLines(file)) {
    if (item.kind === 'row') rows++;
  }
  await store.transact(async (tx) => {
    await store.lockSeq(tx);
    await refuseNonEmpty(tx, file);
    await tx.deleteFrom('counters').execute();
    const migrations = await refuseNewerBackup(tx, file);
    let batch: Row[] = [];
    let table: TableName | undefined;
    const flush = async () => {
      const size = table === 'blobs' ? 10 : 100;
      for (const chunk of chunksOf(batch, size)) {
        await tx
          .insertInto(table as 'events')
          .values(chunk as unknown as Insertable<Tables['events']>[])
          .execute();
      }
      batch = [];
    };
    for await (const item of verifiedLines(file)) {
      if (item.kind !== 'row') continue;
      if (item.table !== table || batch.length >= (table === 'blobs' ? 10 : 500)) await flush();
      table = item.table;
      batch.push(fromJson(item.row));
    }
    await flush();
    await recount(tx);
    for (const [migration, change] of CHANGES_OF_ROWS) if (!migrations.includes(migration)) await change(tx);
    if (store.dialect === 'postgres') await advanceIdentities(tx);
    await leaveHistory(tx);
  });
  return { rows };
}

/** What the registry went through after the backup never was: machines that followed it there must be able to tell. */
async function leaveHistory(tx: Transaction<Tables>): Promise<void> {
  const row = await tx.selectFrom('counters').select('value').where('name', '=', 'seq').executeTakeFirst();
  await beginLineage(tx, row?.value ?? 0);
}

/** Explicit ids do not move PostgreSQL's identity sequences. */
async function advanceIdentities(tx: Transaction<Tables>): Promise<void> {
  for (const [table, keys] of TABLES) {
    if (keys.length !== 1 || keys[0] !== 'id' || !AUTO_ID.has(table)) continue;
    await sql`select setval(pg_get_serial_sequence(${table}, 'id'), coalesce((select max(id) from ${sql.table(table)}), 0) + 1, false)`.execute(
      tx,
    );
  }
}

const AUTO_ID: ReadonlySet<TableName> = new Set([
  'plugin_files',
  'plugin_dependencies',
  'plugin_machine_groups',
  'publications',
  'plugin_installations',
]);

async function refuseNonEmpty(tx: Transaction<Tables>, file: string): Promise<void> {
  for (const [table] of TABLES) {
    if (table === 'counters') continue;
    const { rows } = await sql`select 1 from ${sql.table(table)} limit 1`.execute(tx);
    if (rows.length > 0) {
      throw new HaiveError('BACKUP_INVALID', `The database is not empty; ${file} was not restored into it`, {
        hint: 'Restore into a new data folder or an empty schema.',
        details: { table },
      });
    }
  }
}

/** @returns the migrations of the hub that made it */
async function refuseNewerBackup(tx: Transaction<Tables>, file: string): Promise<string[]> {
  const known = (await sql<{ name: string }>`select name from schema_migrations`.execute(tx)).rows.map((r) => r.name);
  for await (const item of verifiedLines(file)) {
    if (item.kind !== 'head') break;
    const newer = item.migrations.filter((m) => !known.includes(m));
    if (newer.length > 0) {
      throw new HaiveError('SCHEMA_NEWER', `${file} was made by a newer hub: ${newer.join(', ')}`, {
        details: { newer },
      });
    }
    return item.migrations;
  }
  return [];
}

type Line = { kind: 'head'; migrations: string[] } | { kind: 'row'; table: TableName; row: Row } | { kind: 'end' };

/** The lines of a backup; the last one only when the hash over all before it holds. */
async function* verifiedLines(file: string): AsyncGenerator<Line> {
  const invalid = (why: string, cause?: unknown) =>
    new HaiveError('BACKUP_INVALID', `${file} ${why}`, cause === undefined ? {} : { cause });
  const known = new Set<string>(TABLES.map(([table]) => table));
  const hash = createHash('sha256');
  const input = createReadStream(file);
  const unzipped = input.pipe(createGunzip());
  input.on('error', (error) => unzipped.destroy(error));
  let first = true;
  let rows = 0;
  try {
    for await (const text of linesIn(unzipped)) {
      const value = JSON.parse(text) as Record<string, unknown>;
      if (first) {
        if (value.haivemind_backup !== BACKUP_FORMAT || !Array.isArray(value.migrations))
          throw invalid('is not a backup this hub can read');
        yield { kind: 'head', migrations: value.migrations as string[] };
        first = false;
      } else if (value.end === true) {
        if (value.rows !== rows || value.sha256 !== hash.digest('hex')) throw invalid('was changed or damaged');
        yield { kind: 'end' };
        return;
      } else {
        if (typeof value.t !== 'string' || !known.has(value.t)) throw invalid('holds a row this hub does not know');
        rows++;
        yield { kind: 'row', table: value.t as TableName, row: value.r as Row };
      }
      hash.update(`${text}\n`);
    }
  } catch (thrown) {
    if (thrown instanceof HaiveError) throw thrown;
    throw invalid('cannot be read as a backup', thrown);
  } finally {
    input.destroy();
    unzipped.destroy();
  }
  throw invalid('ends too early');
}

/** By line feeds alone: the readline of newer Nodes also breaks at U+2028 and U+2029, which JSON leaves as they are. */
async function* linesIn(bytes: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let begun: Buffer[] = [];
  for await (const chunk of bytes) {
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, from)) {
      yield Buffer.concat([...begun, chunk.subarray(from, end)]).toString('utf8');
      begun = [];
      from = end + 1;
    }
    if (from < chunk.length) begun.push(chunk.subarray(from));
  }
  if (begun.length > 0) yield Buffer.concat(begun).toString('utf8');
}

const LINE_FEED = 10;
