import { join } from 'node:path';
import { HaiveError } from '../../domain/errors.ts';
import type { Envelope } from '../../domain/signing/dsse.ts';
import { checkRecord, type VersionRecord } from '../../domain/version/record.ts';
import { putFile, sha256Of } from '../files/content-file.ts';
import { listDir, readFileOrNull, removeFile, statOf } from '../files/file-port.ts';
import { keepWritten, readKept } from '../files/kept-reads.ts';
import type { Machine } from '../machine.ts';
import { collectPack, isPack, type PackedBlob, packedBlobs, readPacked, unpackBlobs } from './packs.ts';

export { sha256Of } from '../files/content-file.ts';

/** Pristine bytes by sha256, and the signed records that name them. Self-certifying: hashes are checked at every use. */

export interface StoredRecord {
  envelope: Envelope;
  record: VersionRecord;
}

function blobPath(m: Machine, sha256: string): string {
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw new HaiveError('HASH_MISMATCH', `${sha256} is no sha256`);
  return join(m.paths.blobs, sha256);
}

function recordPath(m: Machine, digest: string): string {
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new HaiveError('DIGEST_MISMATCH', `${digest} is no digest`);
  return join(m.paths.records, `${digest.slice('sha256:'.length)}.json`);
}

/** Whether a blob is here; its bytes are checked when read. */
export async function hasBlob(m: Machine, sha256: string): Promise<boolean> {
  return packedBlobs(m).has(sha256) || (statOf(blobPath(m, sha256))?.isFile() ?? false);
}

/**
 * Keeps a blob.
 * @throws HaiveError HASH_MISMATCH when the bytes are others, DISK_FULL, READ_ONLY, IO_ERROR
 */
export async function putBlob(m: Machine, sha256: string, bytes: Uint8Array): Promise<void> {
  const path = blobPath(m, sha256);
  checkBytes(sha256, bytes);
  const there = statOf(path);
  if (there?.isFile() && there.size === bytes.length && (await readBlob(m, sha256).catch(() => null)) !== null) return;
  await putFile(m, m.paths.blobs, path, bytes);
}

/** @throws HaiveError HASH_MISMATCH when the bytes are others */
export function checkBytes(sha256: string, bytes: Uint8Array): void {
  const actual = sha256Of(bytes);
  if (actual !== sha256) throw new HaiveError('HASH_MISMATCH', `Bytes announced as ${sha256} hash to ${actual}`);
}

/**
 * A blob's bytes, hashed again. A damaged one is removed, so that it is fetched anew.
 * @throws HaiveError BLOB_MISSING, HASH_MISMATCH
 */
export async function readBlob(m: Machine, sha256: string): Promise<Buffer> {
  const path = blobPath(m, sha256);
  const fresh = m.fresh?.get(sha256);
  if (fresh !== undefined) return fresh;
  const packed = packedBlobs(m).get(sha256);
  const inPack = packed === undefined ? null : await wholeFromPack(m, sha256, packed);
  if (inPack !== null) return inPack;
  const bytes = await readFileOrNull(path);
  if (bytes === null) throw new HaiveError('BLOB_MISSING', `The blob ${sha256} is not on this machine`);
  if (sha256Of(bytes) === sha256) return bytes;
  await removeFile(m.port, path);
  throw new HaiveError('HASH_MISMATCH', `The blob ${sha256} was damaged on this machine; it will be fetched again`);
}

/** Null where the pack does not hold it: then the pack is taken apart, so that what is damaged is fetched anew. */
async function wholeFromPack(m: Machine, sha256: string, packed: PackedBlob): Promise<Buffer | null> {
  const bytes = readPacked(m, packed);
  if (bytes !== null && sha256Of(bytes) === sha256) return bytes;
  await unpackBlobs(m, packed.pack, () => true);
  return null;
}

/**
 * Keeps a version's record with the envelope it came in.
 * @throws HaiveError FORMAT_UNSUPPORTED, DIGEST_MISMATCH
 */
export async function putRecord(m: Machine, envelope: Envelope, record: VersionRecord): Promise<void> {
  checkRecord(record);
  const path = recordPath(m, record.digest);
  await putFile(m, m.paths.records, path, JSON.stringify({ format: 1, envelope, record }));
  keepWritten(path, { envelope, record });
}

/** A version's record, or null where it is missing or does not hash to its digest. */
export async function getRecord(m: Machine, digest: string): Promise<StoredRecord | null> {
  return readKept(recordPath(m, digest), (bytes) => {
    if (bytes === null) return null;
    try {
      const { envelope, record } = JSON.parse(bytes.toString('utf8')) as StoredRecord;
      checkRecord(record);
      return record.digest === digest ? { envelope, record } : null;
    } catch {
      return null;
    }
  });
}

/** The blobs that these records name and this machine lacks, each once. A blob of another size counts as lacking. */
export async function missingBlobs(
  m: Machine,
  records: readonly VersionRecord[],
): Promise<{ sha256: string; size: number }[]> {
  const wanted = new Map<string, number>();
  for (const record of records) for (const file of record.files) wanted.set(file.sha256, file.size);
  const missing: { sha256: string; size: number }[] = [];
  const packed = packedBlobs(m);
  for (const [sha256, size] of wanted) {
    if (packed.get(sha256)?.size === size) continue;
    const there = statOf(blobPath(m, sha256));
    if (!there?.isFile() || there.size !== size) missing.push({ sha256, size });
  }
  return missing;
}

const GRACE_MS = 24 * 3600 * 1000;

/**
 * Removes blobs and records that none of `digests` needs and that have lain here for a day (a fetch may be under way).
 * The lock must be held.
 * @returns how many files were removed
 */
export async function collectBlobs(m: Machine, digests: Iterable<string>): Promise<number> {
  const keep = new Set<string>();
  for (const digest of digests) {
    keep.add(`${digest.slice('sha256:'.length)}.json`);
    for (const file of (await getRecord(m, digest))?.record.files ?? []) keep.add(file.sha256);
  }
  let removed = 0;
  for (const dir of [m.paths.blobs, m.paths.records]) {
    for (const entry of await listDir(dir)) {
      const path = join(dir, entry.name);
      if (keep.has(entry.name) || !entry.isFile()) continue;
      const age = m.clock().getTime() - (statOf(path)?.mtimeMs ?? 0);
      if (age <= GRACE_MS) continue;
      if (await (isPack(entry.name) ? collectPack(m, entry.name, keep) : removeFile(m.port, path))) removed++;
    }
  }
  return removed;
}
