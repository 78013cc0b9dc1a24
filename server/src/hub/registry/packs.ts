import { promisify } from 'node:util';
import { brotliCompress, constants } from 'node:zlib';
import type { VersionRecord } from '../../domain/version-record.ts';
import { decodeBlob, readBlobs } from '../../storage/blob-queries.ts';
import type { Store } from '../../storage/store.ts';
import { createMadeOnce, type MadeOnce } from './made-once.ts';

const compress = promisify(brotliCompress);

const CACHE_BYTES = 64 * 1024 * 1024;
/** Larger versions travel file by file, as they are stored. */
const MAX_PACK = 8 * 1024 * 1024;
const caches = new WeakMap<Store, MadeOnce<Buffer>>();

/** The sha256 of a version's blobs, each once, in the order in which a pack holds them. */
export const packOrder = (record: VersionRecord): string[] => [...new Set(record.files.map((f) => f.sha256))];

/**
 * All bytes of a version, compressed together: its files say much the same. Made once.
 * @returns null where the version is too large for that, or a blob is gone
 */
export async function packOf(store: Store, record: VersionRecord): Promise<Buffer | null> {
  const order = packOrder(record);
  if (order.length < 2 || record.files.reduce((sum, f) => sum + f.size, 0) > MAX_PACK) return null;
  let cache = caches.get(store);
  if (cache === undefined) {
    cache = createMadeOnce<Buffer>(CACHE_BYTES, (pack) => pack.length + 200);
    caches.set(store, cache);
  }
  const pack = await cache.get(record.digest, () => makePack(store, order));
  return pack.length === 0 ? null : pack;
}

async function makePack(store: Store, order: readonly string[]): Promise<Buffer> {
  const blobs = new Map((await readBlobs(store.read, order)).map((b) => [b.sha256, b]));
  const parts: Buffer[] = [];
  let stored = 0;
  for (const sha256 of order) {
    const blob = blobs.get(sha256);
    if (blob === undefined) return Buffer.alloc(0);
    parts.push(await decodeBlob(blob));
    stored += blob.data.length;
  }
  const all = Buffer.concat(parts);
  const pack = await compress(all, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 5, [constants.BROTLI_PARAM_SIZE_HINT]: all.length },
  });
  return pack.length < stored ? pack : Buffer.alloc(0);
}
