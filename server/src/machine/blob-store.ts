import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Envelope } from '../domain/dsse.ts';
import { HaiveError } from '../domain/errors.ts';
import { checkRecord, type VersionRecord } from '../domain/version-record.ts';
import { listDir, makeDirs, readFileOrNull, removeFile, statOf } from './file-port.ts';
import { readKept } from './kept-reads.ts';
import { ensureRoot, type Machine } from './machine.ts';

/** Pristine bytes by sha256, and the signed records that name them. Self-certifying: hashes are checked at every use. */

export interface StoredRecord {
  envelope: Envelope;
  record: VersionRecord;
}

export function sha256Of(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function blobPath(m: Machine, sha256: string): string {
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw new HaiveError('HASH_MISMATCH', `${sha256} is no sha256`);
  return join(m.paths.blobs, sha256);
}

function recordPath(m: Machine, digest: string): string {
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new HaiveError('DIGEST_MISMATCH', `${digest} is no digest`);
  return join(m.paths.records, `${digest.slice('sha256:'.length)}.json`);
}

/** Several processes may put the same file at once, without the lock: each has a temporary name of its own. */
async function putFile(m: Machine, dir: string, path: string, bytes: Uint8Array | string): Promise<void> {
  if (statOf(dir) === null) {
    await ensureRoot(m);
    await makeDirs(m.port, dir);
  }
  const temporary = join(dir, `.${process.pid}-${randomBytes(6).toString('hex')}.hv-tmp`);
  try {
    await m.port.writeFile(temporary, bytes);
    await m.port.rename(temporary, path);
  } catch (error) {
    await removeFile(m.port, temporary).catch(() => false);
    throw error;
  }
}

/** Whether a blob is here; its bytes are checked when read. */
export async function hasBlob(m: Machine, sha256: string): Promise<boolean> {
  return statOf(blobPath(m, sha256))?.isFile() ?? false;
}

/**
 * Keeps a blob.
 * @throws HaiveError HASH_MISMATCH when the bytes are others, DISK_FULL, READ_ONLY, IO_ERROR
 */
export async function putBlob(m: Machine, sha256: string, bytes: Uint8Array): Promise<void> {
  const path = blobPath(m, sha256);
  const actual = sha256Of(bytes);
  if (actual !== sha256) throw new HaiveError('HASH_MISMATCH', `Bytes announced as ${sha256} hash to ${actual}`);
  const there = statOf(path);
  if (there?.isFile() && there.size === bytes.length && (await readBlob(m, sha256).catch(() => null)) !== null) return;
  await putFile(m, m.paths.blobs, path, bytes);
}

/**
 * A blob's bytes, hashed again. A damaged one is removed, so that it is fetched anew.
 * @throws HaiveError BLOB_MISSING, HASH_MISMATCH
 */
export async function readBlob(m: Machine, sha256: string): Promise<Buffer> {
  const path = blobPath(m, sha256);
  const bytes = await readFileOrNull(path);
  if (bytes === null) throw new HaiveError('BLOB_MISSING', `The blob ${sha256} is not on this machine`);
  if (sha256Of(bytes) === sha256) return bytes;
  await removeFile(m.port, path);
  throw new HaiveError('HASH_MISMATCH', `The blob ${sha256} was damaged on this machine; it will be fetched again`);
}

/**
 * Keeps a version's record with the envelope it came in.
 * @throws HaiveError FORMAT_UNSUPPORTED, DIGEST_MISMATCH
 */
export async function putRecord(m: Machine, envelope: Envelope, record: VersionRecord): Promise<void> {
  checkRecord(record);
  const path = recordPath(m, record.digest);
  await putFile(m, m.paths.records, path, JSON.stringify({ format: 1, envelope, record }));
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
  for (const [sha256, size] of wanted) {
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
      if (age > GRACE_MS && (await removeFile(m.port, path))) removed++;
    }
  }
  return removed;
}
