import { Readable } from 'node:stream';
import { unbrotli } from '../../contract/brotli.ts';
import { decodeFrames, endFrame, type Frame, MAX_BATCH } from '../../contract/frames.ts';
import { HaiveError } from '../../domain/errors.ts';
import type { VersionRecord } from '../../domain/version/record.ts';
import type { Intake } from '../../machine/store/intake.ts';

/**
 * Frames one by one, those that a batch holds in its place. While one is worked on the next one arrives and is unpacked.
 * @throws HaiveError HASH_MISMATCH, BODY_INVALID, BODY_TOO_LARGE when a batch does not unpack to frames; what `frames` throws
 */
export async function* openBatches(frames: AsyncGenerator<Frame>): AsyncGenerator<Frame> {
  const next = async (): Promise<{ frame: Frame; whole: Promise<Buffer> | undefined } | undefined> => {
    const { value: frame, done } = await frames.next();
    if (done) return undefined;
    const whole = frame.header.t === 'batch' ? inflate(frame.bytes, MAX_BATCH) : undefined;
    whole?.catch(() => undefined);
    return { frame, whole };
  };
  for (let ahead = next(); ; ) {
    const one = await ahead;
    if (one === undefined) return;
    ahead = next();
    // Thrown when its turn has come, or never when this one fails.
    ahead.catch(() => undefined);
    if (one.whole === undefined) yield one.frame;
    else yield* decodeFrames(Readable.from([await one.whole, endFrame()]), MAX_BATCH);
  }
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
  try {
    return await unbrotli(bytes, size);
  } catch (cause) {
    throw new HaiveError('HASH_MISMATCH', 'Compressed bytes do not unpack to their announced size', { cause });
  }
}
