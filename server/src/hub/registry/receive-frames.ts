import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { decodeFrames, type FrameHeader } from '../../contract/frames.ts';
import { Envelope as EnvelopeSchema } from '../../contract/schemas.ts';
import { HaiveError } from '../../domain/errors.ts';
import { parseJson } from '../../domain/json/parse.ts';
import { type Envelope, openJson, type PublicKey } from '../../domain/signing/dsse.ts';
import { checkRecord, RECORD_PAYLOAD_TYPE, type VersionRecord } from '../../domain/version/record.ts';
import { decodeBlob, encodeBlob, type StoredBlob } from '../../storage/queries/blobs.ts';
import { parseRecord } from './record-form.ts';

/** What a framed body held, each part checked by itself. */
export interface Received {
  envelope: Envelope;
  record: VersionRecord;
  keyid: string;
  originalManifest: Record<string, unknown> | null;
  /** By sha256: bytes for checking, and as they are stored. */
  blobs: Map<string, { bytes: Buffer; stored: StoredBlob }>;
}

export interface ReceiveLimits {
  /** Sum of all files, bytes. */
  maxBytes: number;
  maxFiles: number;
}

const MAX_RECORD = 16 * 1024 * 1024;
const MAX_MANIFEST = 1024 * 1024;

/**
 * Reads a framed body: the record first, then the author's manifest, perhaps, and blobs that the record names.
 * @throws HaiveError BODY_INVALID, BODY_TOO_LARGE, SIGNATURE_INVALID, FORMAT_UNSUPPORTED, DIGEST_MISMATCH, HASH_MISMATCH,
 * PLUGIN_TOO_LARGE
 */
export async function receiveFrames(stream: Readable, publicKey: PublicKey, limits: ReceiveLimits): Promise<Received> {
  let head: Pick<Received, 'envelope' | 'record' | 'keyid'> | undefined;
  let originalManifest: Record<string, unknown> | null = null;
  const sizes = new Map<string, number>();
  const blobs: Received['blobs'] = new Map();
  for await (const { header, bytes } of decodeFrames(stream, Math.max(limits.maxBytes, MAX_RECORD))) {
    if (header.t === 'record') {
      if (head !== undefined) throw new HaiveError('BODY_INVALID', 'The body holds two records');
      head = openRecord(bytes, publicKey);
      checkSize(head.record, limits);
      for (const file of head.record.files) sizes.set(file.sha256, file.size);
    } else if (head === undefined) {
      throw new HaiveError('BODY_INVALID', 'The first frame is not a record');
    } else if (header.t === 'original-manifest') {
      originalManifest = parseObject(bytes, 'The original manifest', MAX_MANIFEST);
    } else if (header.t === 'blob') {
      blobs.set(header.sha256, await receiveBlob(header, bytes, sizes.get(header.sha256)));
    } else throw new HaiveError('BODY_INVALID', `A publication is not sent as ${header.t} frames`);
  }
  if (head === undefined) throw new HaiveError('BODY_INVALID', 'The body holds no record');
  return { ...head, originalManifest, blobs };
}

function openRecord(bytes: Buffer, publicKey: PublicKey): Pick<Received, 'envelope' | 'record' | 'keyid'> {
  const parsed = EnvelopeSchema.safeParse(parseObject(bytes, 'The record frame', MAX_RECORD));
  if (!parsed.success) throw new HaiveError('BODY_INVALID', 'The record frame holds no envelope');
  const envelope: Envelope = parsed.data;
  const { value, keyid } = openJson(envelope, RECORD_PAYLOAD_TYPE, [publicKey]);
  const record = parseRecord(value);
  checkRecord(record);
  return { envelope, record, keyid };
}

function checkSize(record: VersionRecord, limits: ReceiveLimits): void {
  const size = record.files.reduce((sum, f) => sum + f.size, 0);
  if (size > limits.maxBytes || record.files.length > limits.maxFiles) {
    throw new HaiveError(
      'PLUGIN_TOO_LARGE',
      `${record.name}@${record.version} has ${record.files.length} files of ${size} bytes; the limit is ${limits.maxFiles} files of ${limits.maxBytes} bytes`,
      { details: { size, limit: limits.maxBytes, files: record.files.length } },
    );
  }
}

async function receiveBlob(
  header: Extract<FrameHeader, { t: 'blob' }>,
  received: Buffer,
  size: number | undefined,
): Promise<{ bytes: Buffer; stored: StoredBlob }> {
  const { sha256, enc } = header;
  if (size === undefined) throw new HaiveError('BODY_INVALID', `The record names no file with the blob ${sha256}`);
  // The frame's bytes are a view of the network's buffer: copied, so that a small file does not keep a large buffer alive.
  const data = Buffer.from(received);
  const bytes = await decodeBlob({ sha256, size, encoding: enc, data });
  const hash = createHash('sha256').update(bytes).digest('hex');
  if (hash !== sha256 || bytes.length !== size) {
    throw new HaiveError(
      'HASH_MISMATCH',
      `A blob announced as ${sha256} (${size} bytes) is ${hash} (${bytes.length} bytes)`,
    );
  }
  const keep = enc === 'br' && data.length < bytes.length;
  return { bytes, stored: keep ? { sha256, size, encoding: 'br', data } : await encodeBlob(sha256, bytes) };
}

function parseObject(bytes: Buffer, what: string, max: number): Record<string, unknown> {
  if (bytes.length > max) throw new HaiveError('BODY_TOO_LARGE', `${what} is over ${max} bytes`);
  let value: unknown;
  try {
    value = parseJson(bytes.toString('utf8'));
  } catch (cause) {
    throw new HaiveError('BODY_INVALID', `${what} is not JSON`, { cause });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new HaiveError('BODY_INVALID', `${what} is not a JSON object`);
}
