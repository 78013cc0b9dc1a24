import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { brotliDecompress, brotliDecompressSync } from 'node:zlib';
import { decodeFrames, endFrame, type Frame, MAX_BATCH } from '../contract/frames.ts';
import { HaiveError } from '../domain/errors.ts';
import type { VersionRecord } from '../domain/version-record.ts';
import type { Intake } from '../machine/intake.ts';

const unbrotli = promisify(brotliDecompress);

/** Bytes up to which a file is unpacked at once. */
const SMALL = 64 * 1024;

/** The frames that a batch holds. @throws HaiveError HASH_MISMATCH, BODY_INVALID, BODY_TOO_LARGE when it does not unpack to frames */
export async function* openBatch({ bytes }: Frame): AsyncGenerator<Frame> {
  const whole = await inflate(bytes, MAX_BATCH);
  yield* decodeFrames(Readable.from([whole, endFrame()]), MAX_BATCH);
}

/**
 * Takes in all files of a version, which come in one; each is checked by its sha256.
 * @throws HaiveError HASH_MISMATCH, DISK_FULL, READ_ONLY, IO_ERROR
 */
export async function keepPack(intake: Intake, record: VersionRecord, { bytes }: Frame): Promise<void> {
  const sizes = new Map(record.files.map((file) => [file.sha256, file.size]));
  const whole = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  if (whole !== bytes.length) throw new HaiveError('HASH_MISMATCH', 'A pack is not as long as what it should hold');
  let at = 0;
  for (const [sha256, size] of sizes) {
    await intake.put(sha256, bytes.subarray(at, at + size));
    at += size;
  }
}

/** @param size bytes that come out at most @throws HaiveError HASH_MISMATCH */
export async function inflate(bytes: Buffer, size: number): Promise<Buffer> {
  const options = { maxOutputLength: Math.max(size, 1) };
  try {
    // Of a small file a trip through the thread pool takes longer than the work.
    return size <= SMALL ? brotliDecompressSync(bytes, options) : await unbrotli(bytes, options);
  } catch (cause) {
    throw new HaiveError('HASH_MISMATCH', 'Compressed bytes do not unpack to their announced size', { cause });
  }
}
