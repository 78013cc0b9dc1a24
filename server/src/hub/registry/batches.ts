import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { brotliCompress, constants } from 'node:zlib';
import { encodeFrame, MAX_BATCH } from '../../contract/frames.ts';
import type { Envelope } from '../../domain/signing/dsse.ts';
import type { VersionRecord } from '../../domain/version/record.ts';
import { toRecordDelta } from '../../domain/version/record-delta.ts';
import { decodeBlob, readBlobs } from '../../storage/queries/blobs.ts';
import type { Store } from '../../storage/store.ts';
import { madeOncePerStore } from './made-once.ts';

const compress = promisify(brotliCompress);

/** Of files in one batch: twice as much saves another fiftieth, and is lost when a connection breaks off. */
const FULL = 2 * 1024 * 1024;
/** Larger versions travel file by file, as they are stored. */
const MAX_VERSION = 8 * 1024 * 1024;
const made = madeOncePerStore<Buffer>(64 * 1024 * 1024, (batch) => batch.length + 200);
const opened = madeOncePerStore<Whole>(16 * 1024 * 1024, ({ frame }) => 6 * frame.length);

/** A version that travels whole: its record's frame, and what that says. */
export interface Whole {
  frame: Buffer;
  record: VersionRecord;
}

/**
 * Opens a stored record. Its frame tells it as differences from nothing, which says the same in fewer bytes than base64. Made once.
 * @param stored the envelope as JSON
 * @param key the signer's public key, as far as it is known
 */
export function openWhole(store: Store, stored: string, key: string | undefined): Promise<Whole> {
  return opened(store).get(`${key} ${stored}`, async () => {
    const { signatures, payload } = JSON.parse(stored) as Envelope;
    const bytes = Buffer.from(payload, 'base64');
    const record = JSON.parse(bytes.toString('utf8')) as VersionRecord;
    const told = toRecordDelta({ files: [] }, bytes);
    const frame =
      told === null
        ? recordFrame(record.digest, key, stored)
        : recordFrame(record.digest, key, JSON.stringify({ signatures, record: told }), '');
    return { record, frame };
  });
}

/** @param base the digest of what `body` tells differences from, where it does */
export function recordFrame(digest: string, key: string | undefined, body: string, base?: string): Buffer {
  const keyed = key === undefined ? {} : { key };
  return encodeFrame(
    { t: 'record', digest, ...keyed, ...(base === undefined ? {} : { base }), n: 0 },
    Buffer.from(body),
  );
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
  const key = createHash('sha256');
  for (const { frame } of versions) key.update(frame);
  const batch = await made(store).get(key.digest('hex'), () => makeBatch(store, versions));
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
