import { promisify } from 'node:util';
import { brotliCompress, constants } from 'node:zlib';
import type { ExpressionBuilder, Transaction } from 'kysely';
import { unbrotli } from '../../contract/brotli.ts';
import { HaiveError } from '../../domain/errors.ts';
import { chunksOf, inChunks } from '../chunks.ts';
import type { Store } from '../store.ts';
import type { Tables, Tx } from '../tables/index.ts';

const compress = promisify(brotliCompress);

export type BlobEncoding = 'identity' | 'br';

/** A file's bytes as they are stored and travel. */
export interface StoredBlob {
  sha256: string;
  /** Bytes before compression. */
  size: number;
  encoding: BlobEncoding;
  data: Buffer;
}

/** Below this the few bytes that compression gains are not worth a visit to the thread pool. */
const SMALLEST = 512;
/** Compresses once, for storage and for every transfer (brotli-5); keeps the bytes as they are where that is not smaller. */
export async function encodeBlob(sha256: string, bytes: Buffer): Promise<StoredBlob> {
  if (bytes.length < SMALLEST) return { sha256, size: bytes.length, encoding: 'identity', data: bytes };
  const packed = await compress(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 5, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
  return packed.length < bytes.length
    ? { sha256, size: bytes.length, encoding: 'br', data: packed }
    : { sha256, size: bytes.length, encoding: 'identity', data: bytes };
}

/**
 * The file's bytes.
 * @throws HaiveError HASH_MISMATCH when they do not decompress to the size that is stored
 */
export async function decodeBlob(blob: Pick<StoredBlob, 'sha256' | 'size' | 'encoding' | 'data'>): Promise<Buffer> {
  if (blob.encoding === 'identity') return blob.data;
  try {
    const bytes = await unbrotli(blob.data, blob.size);
    if (bytes.length === blob.size) return bytes;
  } catch (cause) {
    throw new HaiveError('HASH_MISMATCH', `The blob ${blob.sha256} does not decompress to ${blob.size} bytes`, {
      cause,
    });
  }
  throw new HaiveError('HASH_MISMATCH', `The blob ${blob.sha256} does not decompress to ${blob.size} bytes`);
}

/** Stores blobs, leaving those that are there as they are. Sorted, so that two uploads never wait for each other crosswise. */
export async function insertBlobs(tx: Tx, blobs: Iterable<StoredBlob>, at: string): Promise<void> {
  const sorted = [...blobs].sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
  for (const chunk of chunksOf(sorted, 50)) {
    await tx
      .insertInto('blobs')
      .values(chunk.map((b) => ({ ...b, created_at: at })))
      .onConflict((oc) => oc.column('sha256').doNothing())
      .execute();
  }
}

/** Those of `sha256` that are not stored. */
export async function missingBlobs(tx: Tx, sha256: Iterable<string>): Promise<string[]> {
  const asked = new Set(sha256);
  const there = await inChunks(asked, (chunk) =>
    tx.selectFrom('blobs').select('sha256').where('sha256', 'in', chunk).execute(),
  );
  for (const row of there) asked.delete(row.sha256);
  return [...asked];
}

/** Of blobs that no version refers to. */
const unnamed = ({ not, exists, selectFrom }: ExpressionBuilder<Tables, 'blobs'>) =>
  not(exists(selectFrom('plugin_files').select('id').whereRef('plugin_files.checksum', '=', 'blobs.sha256')));

/** Puts off the collection of stored blobs that nothing refers to yet: somebody is about to. */
export async function touchBlobs(tx: Tx, sha256: Iterable<string>, at: string): Promise<void> {
  for (const chunk of chunksOf(sha256)) {
    await tx.updateTable('blobs').set({ created_at: at }).where('sha256', 'in', chunk).where(unnamed).execute();
  }
}

/** The stored ones among `sha256`, in no order. */
export async function readBlobs(tx: Tx, sha256: Iterable<string>): Promise<StoredBlob[]> {
  return inChunks(sha256, async (chunk) => {
    const rows = await tx
      .selectFrom('blobs')
      .select(['sha256', 'size', 'encoding', 'data'])
      .where('sha256', 'in', chunk)
      .execute();
    return rows.map((r) => ({ ...r, encoding: r.encoding as BlobEncoding }));
  });
}

/** Ids of the versions that hold a blob. */
export async function pluginsHoldingBlob(tx: Tx, sha256: string): Promise<string[]> {
  const rows = await tx
    .selectFrom('plugin_files')
    .select('plugin_id')
    .distinct()
    .where('checksum', '=', sha256)
    .execute();
  return rows.map((r) => r.plugin_id);
}

/** Blobs looked at, and deleted, in one go. */
const COLLECTED_AT_ONCE = 200;

/**
 * Deletes blobs that no version refers to and that came before `olderThan`. Publications wait only while some are deleted, never while
 * it looks for them.
 * @returns how many were deleted
 */
export async function collectBlobs(store: Store, olderThan: Date): Promise<number> {
  let collected = 0;
  for (let page = await unnamedBlobs(store.read, ''); page.length > 0; ) {
    const old = await olderOnes(store.read, page, olderThan);
    if (old.length > 0) collected += await store.transact((tx) => dropUnnamed(store, tx, old, olderThan));
    page = await unnamedBlobs(store.read, page.at(-1) ?? '');
  }
  return collected;
}

/** The next ones that no version refers to. It asks for nothing that lies behind a blob's bytes, so that an index alone answers. */
async function unnamedBlobs(tx: Tx, after: string): Promise<string[]> {
  const rows = await tx
    .selectFrom('blobs')
    .select('sha256')
    .where('sha256', '>', after)
    .where(unnamed)
    .orderBy('sha256')
    .limit(COLLECTED_AT_ONCE)
    .execute();
  return rows.map((r) => r.sha256);
}

async function olderOnes(tx: Tx, sha256: string[], than: Date): Promise<string[]> {
  const at = than.toISOString();
  const rows = await tx
    .selectFrom('blobs')
    .select('sha256')
    .where('sha256', 'in', sha256)
    .where('created_at', '<', at)
    .execute();
  return rows.map((r) => r.sha256);
}

/** Looks once more: a version may have come to name them, or an upload to count on them, since they were found. */
async function dropUnnamed(store: Store, tx: Transaction<Tables>, sha256: string[], olderThan: Date): Promise<number> {
  await store.lockSeq(tx);
  const { numDeletedRows } = await tx
    .deleteFrom('blobs')
    .where('sha256', 'in', sha256)
    .where('created_at', '<', olderThan.toISOString())
    .where(unnamed)
    .executeTakeFirst();
  return Number(numDeletedRows);
}
