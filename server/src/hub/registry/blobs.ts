import { Readable } from 'node:stream';
import { encodeFrame, endFrame, FRAMES_TYPE } from '../../contract/frames.ts';
import type { Envelope } from '../../domain/dsse.ts';
import { HaiveError } from '../../domain/errors.ts';
import {
  type BlobEncoding,
  decodeBlob,
  missingBlobs,
  pluginsHoldingBlob,
  readBlobs,
  touchBlobs,
} from '../../storage/blob-queries.ts';
import { chunksOf } from '../../storage/chunks.ts';
import { blobsOfDigests, recordsByDigest } from '../../storage/plugin-queries.ts';
import { publicKeysOf } from '../../storage/publisher-key-queries.ts';
import type { Store } from '../../storage/store.ts';
import type { UseCase } from '../context.ts';
import { loadCatalogue } from './snapshot.ts';
import { visibility } from './visibility.ts';

/** Which of these blobs a publisher has to send. */
export const blobsMissing: UseCase<'blobsMissing'> = async (hub, call) => {
  const asked = new Set(call.body.sha256);
  const missing = await missingBlobs(hub.store.read, asked);
  for (const sha256 of missing) asked.delete(sha256);
  // What is there may be an orphan of an earlier attempt; it must not be collected before the version arrives.
  if (asked.size > 0) {
    const at = hub.clock().toISOString();
    await hub.store.transact((tx) => touchBlobs(tx, asked, at));
  }
  return { missing };
};

/** One blob's bytes, compressed where the client takes it; immutable. */
export const blob: UseCase<'blob'> = async (hub, call) => {
  const sha256 = call.params.sha256 ?? '';
  const notThere = () => new HaiveError('BLOB_NOT_FOUND', `There is no blob ${sha256.slice(0, 64)} for this token`);
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw notThere();
  const holders = await pluginsHoldingBlob(hub.store.read, sha256);
  const mayRead = await visibility(hub, call.principal);
  const catalogue = await loadCatalogue(hub.store);
  const readable = holders.some((id) => {
    const version = catalogue.byId.get(id);
    return version !== undefined && mayRead(version);
  });
  if (!readable) throw notThere();
  const headers: Record<string, string> = {
    'content-type': 'application/octet-stream',
    'cache-control': 'private, max-age=31536000, immutable',
    etag: `"${sha256}"`,
    vary: 'accept-encoding',
  };
  if ((call.header('if-none-match') ?? '').includes(`"${sha256}"`))
    return { raw: true, status: 304, headers, body: null };
  const [stored] = await readBlobs(hub.store.read, [sha256]);
  if (stored === undefined) throw notThere();
  const asStored = stored.encoding === 'identity' || acceptsBrotli(call.header('accept-encoding'));
  if (asStored && stored.encoding === 'br') headers['content-encoding'] = 'br';
  const body = asStored ? stored.data : await decodeBlob(stored);
  headers['content-length'] = String(body.length);
  return { raw: true, status: 200, headers, body };
};

function acceptsBrotli(accept: string | undefined): boolean {
  return (accept ?? '').split(',').some((part) => {
    const [coding, ...parameters] = part.trim().toLowerCase().split(';');
    return (coding === 'br' || coding === '*') && !parameters.some((p) => /^\s*q=0(\.0*)?\s*$/.test(p));
  });
}

/** Records and the blobs the caller lacks, in one framed answer. */
export const transfer: UseCase<'transfer'> = async (hub, call) => {
  const { versions, have, have_blobs: haveBlobs } = call.body;
  const { read } = hub.store;
  const mayRead = await visibility(hub, call.principal);
  const catalogue = await loadCatalogue(hub.store);
  const records = (await recordsByDigest(read, versions)).filter((r) => {
    const version = catalogue.byId.get(r.id);
    return version !== undefined && mayRead(version);
  });
  const found = new Set(records.map((r) => r.digest));
  const lacking = versions.filter((digest) => !found.has(digest));
  if (lacking.length > 0) {
    throw new HaiveError('VERSION_NOT_FOUND', `There is no version ${lacking[0]} for this token`, {
      hint: 'Ask for the plan again.',
      details: { digests: lacking },
    });
  }
  const wanted = new Map((await blobsOfDigests(read, versions)).map((b) => [b.sha256, b.size]));
  for (const { sha256 } of await blobsOfDigests(read, have)) wanted.delete(sha256);
  for (const sha256 of haveBlobs) wanted.delete(sha256);
  const body = Readable.from(frames(hub.store, records, wanted), { objectMode: false });
  return { raw: true, status: 200, headers: { 'content-type': FRAMES_TYPE, 'cache-control': 'no-store' }, body };
};

function signerOf(record: string): string {
  return (JSON.parse(record) as Envelope).signatures[0]?.keyid ?? '';
}

/** Bytes (uncompressed) of blobs that one look into the database brings. */
const BATCH = 4 * 1024 * 1024;

async function* frames(
  store: Store,
  records: readonly { digest: string; record: string }[],
  wanted: ReadonlyMap<string, number>,
): AsyncGenerator<Buffer> {
  const signers = new Map(records.map((r) => [r.digest, signerOf(r.record)]));
  const keys = await publicKeysOf(store.read, [...new Set(signers.values())]);
  for (const { digest, record } of records) {
    // A machine that sees a publisher for the first time learns the key here, and pins it.
    const key = keys.get(signers.get(digest) ?? '');
    yield encodeFrame({ t: 'record', digest, ...(key === undefined ? {} : { key }), n: 0 }, Buffer.from(record));
  }
  for (const batch of batches(wanted)) {
    const blobs = await readBlobs(store.read, batch);
    if (blobs.length < batch.length) {
      throw new HaiveError('BLOB_NOT_FOUND', 'A blob was collected while it was being sent');
    }
    for (const { sha256, encoding, data } of blobs) {
      yield encodeFrame({ t: 'blob', sha256, enc: encoding satisfies BlobEncoding, n: 0 }, data);
    }
  }
  yield endFrame();
}

function* batches(wanted: ReadonlyMap<string, number>): Generator<string[]> {
  let batch: string[] = [];
  let bytes = 0;
  for (const [sha256, size] of wanted) {
    if (batch.length > 0 && bytes + size > BATCH) {
      yield* chunksOf(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(sha256);
    bytes += size;
  }
  yield* chunksOf(batch);
}
