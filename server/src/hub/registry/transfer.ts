import { Readable } from 'node:stream';
import type { Body } from '../../contract/endpoints.ts';
import { encodeFrame, endFrame, FRAMES_TYPE } from '../../contract/frames.ts';
import { HaiveError } from '../../domain/errors.ts';
import type { Envelope } from '../../domain/signing/dsse.ts';
import type { VersionRecord } from '../../domain/version/record.ts';
import { chunksOf } from '../../storage/chunks.ts';
import { type BlobEncoding, readBlobs } from '../../storage/queries/blobs.ts';
import { blobsOfDigests, recordsByDigest } from '../../storage/queries/plugins.ts';
import { publicKeysOf } from '../../storage/queries/publisher-keys.ts';
import type { Store } from '../../storage/store.ts';
import type { UseCase } from '../context.ts';
import { batchOf, fitsBatch, inBatches, openWhole, packOrder, recordFrame, type Whole } from './batches.ts';
import { type Catalogue, loadCatalogue } from './snapshot.ts';
import { framesOf, type StoredVersion, updateBetween } from './update-frames.ts';
import { visibility } from './visibility.ts';

/** Records and the blobs the caller lacks, in one framed answer. */
export const transfer: UseCase<'transfer'> = async (hub, call) => {
  const { versions, have, have_blobs: haveBlobs, forms } = call.body;
  const { read } = hub.store;
  const mayRead = await visibility(hub, call.principal);
  const catalogue = await loadCatalogue(hub.store);
  const readable = async (digests: readonly string[]): Promise<Stored[]> =>
    (await recordsByDigest(read, digests)).filter((r) => {
      const version = catalogue.byId.get(r.id);
      return version !== undefined && mayRead(version);
    });
  const records = await readable(versions);
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
  // Only what the caller may read can be a base: a delta tells something of what it was made from.
  const bases = forms.includes('delta') ? namesOf(catalogue, await readable(have)) : new Map<string, Stored>();
  const body = Readable.from(frames(hub.store, { catalogue, records, wanted, bases, forms }), { objectMode: false });
  return { raw: true, status: 200, headers: { 'content-type': FRAMES_TYPE, 'cache-control': 'no-store' }, body };
};

type Stored = StoredVersion & { id: string };

function namesOf(catalogue: Catalogue, records: readonly Stored[]): Map<string, Stored> {
  return new Map(records.map((r) => [catalogue.byId.get(r.id)?.name ?? '', r]));
}

function signerOf(record: string): string {
  return (JSON.parse(record) as Envelope).signatures[0]?.keyid ?? '';
}

/** Bytes (uncompressed) of blobs that one look into the database brings. */
const BATCH = 4 * 1024 * 1024;

interface Ask {
  catalogue: Catalogue;
  records: readonly Stored[];
  /** Size by sha256; what was sent is taken out. */
  wanted: Map<string, number>;
  /** By plugin name: a version that the caller has, and may read. */
  bases: ReadonlyMap<string, Stored>;
  forms: Body<'transfer'>['forms'];
}

async function* frames(store: Store, ask: Ask): AsyncGenerator<Buffer> {
  const { records, wanted, bases, forms, catalogue } = ask;
  const signers = new Map(records.map((r) => [r.digest, signerOf(r.record)]));
  const keys = await publicKeysOf(store.read, [...new Set(signers.values())]);
  const whole: Whole[] = [];
  for (const next of records) {
    const { digest, record } = next;
    // A machine that sees a publisher for the first time learns the key here, and pins it.
    const key = keys.get(signers.get(digest) ?? '');
    const base = bases.get(catalogue.byId.get(next.id)?.name ?? '');
    if (base !== undefined && base.digest !== digest) {
      const sent = framesOf(await updateBetween(store, base, next), { base: base.digest, digest, key }, wanted);
      if (sent !== null) {
        yield* sent;
        continue;
      }
    }
    const version = forms.includes('batch') ? await openWhole(store, record, key) : undefined;
    if (version !== undefined && isWhollyWanted(version.record, wanted)) whole.push(version);
    else yield recordFrame(digest, key, record);
  }
  yield* batchFrames(store, whole, wanted);
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

/** A version of which the caller has nothing, and that shares nothing with what was said before, travels whole. */
function isWhollyWanted(record: VersionRecord, wanted: Map<string, number>): boolean {
  const order = packOrder(record);
  if (!fitsBatch(record) || !order.every((sha256) => wanted.has(sha256))) return false;
  for (const sha256 of order) wanted.delete(sha256);
  return true;
}

/** While one batch is on its way the next is made. */
async function* batchFrames(
  store: Store,
  versions: readonly Whole[],
  wanted: Map<string, number>,
): AsyncGenerator<Buffer> {
  const groups = inBatches(versions);
  const make = (at: number): Promise<Buffer | null> | undefined => {
    const group = groups[at];
    const made = group === undefined ? undefined : batchOf(store, group);
    // Awaited later, or never when the caller goes away.
    made?.catch(() => undefined);
    return made;
  };
  let made = make(0);
  for (const [i, group] of groups.entries()) {
    const next = make(i + 1);
    const batch = await made;
    made = next;
    if (batch !== null && batch !== undefined) {
      yield encodeFrame({ t: 'batch', n: 0 }, batch);
      continue;
    }
    // Then file by file: that says which blob is gone.
    for (const { frame, record } of group) {
      yield frame;
      for (const { sha256, size } of record.files) wanted.set(sha256, size);
    }
  }
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
