import type { Frame } from '../../contract/frames.ts';
import { HaiveError } from '../../domain/errors.ts';
import { applyDelta } from '../../domain/version/file-delta.ts';
import type { Machine } from '../../machine/machine.ts';
import { readBlob } from '../../machine/store/blob-store.ts';
import type { Answering } from './asking.ts';
import { inflate } from './batch.ts';

/** A file of an accepted record, whole. @throws HaiveError HASH_MISMATCH, DISK_FULL, READ_ONLY, IO_ERROR */
export async function takeBlob(frame: Frame, { expected, intake }: Answering): Promise<void> {
  const { header } = frame;
  if (header.t !== 'blob') return;
  const size = expected.get(header.sha256);
  // Bytes that no accepted record names are none of ours.
  if (size === undefined) return;
  await intake.put(header.sha256, header.enc === 'br' ? await inflate(frame.bytes, size) : frame.bytes);
}

/** A file of the newest record, made from one that is here. What does not fit is asked for whole. */
export async function takeDelta(m: Machine, frame: Frame, so: Answering): Promise<void> {
  const { header } = frame;
  if (header.t !== 'delta') return;
  const file = so.newest?.record.files[header.of];
  const from = so.newest?.base?.files[header.from];
  try {
    if (file === undefined || from === undefined) throw new HaiveError('HASH_MISMATCH', 'A delta of nothing known');
    const base = await readBlob(m, from.sha256);
    await so.intake.put(file.sha256, applyDelta(base, frame.bytes, file.size));
  } catch (thrown) {
    if (!(thrown instanceof HaiveError) || !['HASH_MISMATCH', 'BLOB_MISSING'].includes(thrown.code)) throw thrown;
    so.misfit = true;
  }
}
