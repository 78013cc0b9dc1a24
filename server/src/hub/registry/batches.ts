import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { brotliCompress, constants } from 'node:zlib';
import { encodeFrame, MAX_BATCH } from '../../contract/frames.ts';
import type { VersionRecord } from '../../domain/version-record.ts';
import { decodeBlob, readBlobs } from '../../storage/blob-queries.ts';
import type { Store } from '../../storage/store.ts';
import { createMadeOnce, type MadeOnce } from './made-once.ts';

const compress = promisify(brotliCompress);

const CACHE_BYTES = 64 * 1024 * 1024;
/** Of files in one batch: twice as much saves another fiftieth, and is lost when a connection breaks off. */
const FULL = 2 * 1024 * 1024;
/** Larger versions travel file by file, as they are stored. */
const MAX_VERSION = 8 * 1024 * 1024;
const caches = new WeakMap<Store, MadeOnce<Buffer>>();

/** A version that travels whole: its record's frame, and what that says. */
export interface Whole {
  digest: string;
  frame: Buffer;
  record: VersionRecord;
}

/** The sha256 of a version's blobs, each once, in the order in which a pack holds them. */
export const packOrder = (record: VersionRecord): string[] => [...new Set(record.files.map((f) => f.sha256))];

const sizeOf = (record: VersionRecord): number => record.files.reduce((sum, f) => sum + f.size, 0);

/** Whether a version may be part of a batch. */
export function fitsBatch(record: VersionRecord): boolean {
  return sizeOf(record) <= MAX_VERSION;
}

/** Versions in their order, as many to a batch as it holds. The same versions give the same batches, whoever asks. */
export function inBatches(versions: readonly Whole[]): Whole[][] {
  const groups: Whole[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const version of versions) {
    const size = sizeOf(version.record) + version.frame.length;
    if (bytes + size > FULL) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)?.push(version);
    bytes += size;
  }
  return groups;
}

/**
 * The bytes of a batch frame: versions compressed together, because plugins say much the same. Made once for each list of versions.
 * @returns null where a blob is gone
 */
export async function batchOf(store: Store, versions: readonly Whole[]): Promise<Buffer | null> {
  let cache = caches.get(store);
  if (cache === undefined) {
    cache = createMadeOnce<Buffer>(CACHE_BYTES, (batch) => batch.length + 200);
    caches.set(store, cache);
  }
  const key = createHash('sha256');
  for (const { frame } of versions) key.update(frame);
  const batch = await cache.get(key.digest('hex'), () => makeBatch(store, versions));
  return batch.length === 0 ? null : batch;
}

async function makeBatch(store: Store, versions: readonly Whole[]): Promise<Buffer> {
  const orders = versions.map(({ record }) => packOrder(record));
  const blobs = new Map((await readBlobs(store.read, new Set(orders.flat()))).map((b) => [b.sha256, b]));
  const parts: Buffer[] = [];
  for (const [i, { frame }] of versions.entries()) {
    const bytes: Buffer[] = [];
    for (const sha256 of orders[i] ?? []) {
      const blob = blobs.get(sha256);
      if (blob === undefined) return Buffer.alloc(0);
      bytes.push(await decodeBlob(blob));
    }
    parts.push(frame, encodeFrame({ t: 'pack', n: 0 }, Buffer.concat(bytes)));
  }
  const all = Buffer.concat(parts);
  if (all.length > MAX_BATCH) return Buffer.alloc(0);
  return compress(all, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 5, [constants.BROTLI_PARAM_SIZE_HINT]: all.length },
  });
}
