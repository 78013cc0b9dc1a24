import { HaiveError } from '../domain/errors.ts';

/**
 * Many records and blobs in one body: each frame is a line of JSON (its `n` is the number of bytes that follow), then the bytes.
 * The last frame is `{"t":"end"}`, so that a cut connection is told from a complete answer.
 */
export const FRAMES_TYPE = 'application/vnd.haivemind.frames';

export type FrameHeader =
  /**
   * A DSSE envelope of a version record, as JSON; `key` is the signer's public key (the hub's answers carry it). With `base`, the
   * digest of a version that the reader has (or empty: nothing), the bytes are `{signatures, record}` instead, the record as
   * differences from that.
   */
  | { t: 'record'; digest?: string; key?: string; base?: string; n: number }
  /**
   * A file of the newest record, by its place in it, as a delta (domain/version/file-delta) from a file of the record's base. Its head is not
   * JSON but `dOF,FROM,N`: most deltas are of few bytes.
   */
  | { t: 'delta'; of: number; from: number; n: number }
  /** The bytes of all blobs of the newest record, each once and in its order, one after the other: only in batches. */
  | { t: 'pack'; n: number }
  /** Records and packs of several versions, as frames without an end frame, compressed together by brotli. */
  | { t: 'batch'; n: number }
  /** A plan as the endpoint `plan` answers it to a machine that takes differences: in parcels, and beside `installed`. */
  | { t: 'plan'; etag: string; n: number }
  /** What the endpoint `install` answers, as JSON; the plan and what the machine lacks of it follow. */
  | { t: 'installed'; n: number }
  /** The manifest as the author wrote it before translation. */
  | { t: 'original-manifest'; n: number }
  /** A file's bytes; `enc` says how they travel, sha256 is that of the decoded bytes. */
  | { t: 'blob'; sha256: string; enc: 'identity' | 'br'; n: number }
  | { t: 'end'; n: 0 };

export interface Frame {
  header: FrameHeader;
  bytes: Buffer;
}

/** Bytes that a batch may unpack to. */
export const MAX_BATCH = 32 * 1024 * 1024;

const MAX_HEADER = 4096;
/** Those whose head is JSON. */
const KINDS: readonly FrameHeader['t'][] = [
  'record',
  'original-manifest',
  'blob',
  'pack',
  'batch',
  'plan',
  'installed',
  'end',
];
const DELTA = /^d(\d{1,9}),(\d{1,9}),(\d{1,9})\n$/;

export function encodeFrame(header: Exclude<FrameHeader, { t: 'end' }>, bytes: Uint8Array): Buffer {
  const n = bytes.length;
  const head = header.t === 'delta' ? `d${header.of},${header.from},${n}` : JSON.stringify({ ...header, n });
  return Buffer.concat([Buffer.from(`${head}\n`), bytes]);
}

export function endFrame(): Buffer {
  return Buffer.from('{"t":"end","n":0}\n');
}

/**
 * Reads frames from a stream of chunks; yields each when its bytes are complete, without the end frame.
 * @param maxFrame bytes that one frame may hold
 * @throws HaiveError BODY_INVALID when the stream ends early or a header is not one; BODY_TOO_LARGE
 */
export async function* decodeFrames(source: AsyncIterable<Uint8Array>, maxFrame: number): AsyncGenerator<Frame> {
  let chunks: Buffer[] = [];
  let held = 0;
  let header: FrameHeader | undefined;
  const take = (n: number): Buffer => {
    const all = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
    const rest = all.subarray(n);
    chunks = rest.length > 0 ? [rest] : [];
    held = rest.length;
    return all.subarray(0, n);
  };
  for await (const chunk of source) {
    chunks.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    held += chunk.byteLength;
    for (;;) {
      if (header === undefined) {
        const line = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
        chunks = [line];
        const end = line.indexOf(10);
        if (end === -1) {
          if (held > MAX_HEADER) throw new HaiveError('BODY_INVALID', 'A frame header is too long');
          break;
        }
        header = parseHeader(take(end + 1).toString('utf8'), maxFrame);
        if (header.t === 'end') return;
      }
      if (held < header.n) break;
      const bytes = take(header.n);
      yield { header, bytes };
      header = undefined;
      if (held === 0) break;
    }
  }
  throw new HaiveError('BODY_INVALID', 'The body ends before its last frame');
}

function parseHeader(line: string, maxFrame: number): FrameHeader {
  const header = line.startsWith('d') ? parseDelta(line) : parseJson(line);
  if (header.n > maxFrame) throw new HaiveError('BODY_TOO_LARGE', `A frame of ${header.n} bytes is over ${maxFrame}`);
  return header;
}

function parseDelta(line: string): FrameHeader {
  const [, of, from, n] = DELTA.exec(line) ?? [];
  if (of !== undefined) return { t: 'delta', of: Number(of), from: Number(from), n: Number(n) };
  throw new HaiveError('BODY_INVALID', 'A delta frame does not say of which file it is');
}

function parseJson(line: string): FrameHeader {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new HaiveError('BODY_INVALID', 'A frame header is not JSON', { cause });
  }
  const header = (value ?? {}) as { t?: unknown; n?: unknown; sha256?: unknown; enc?: unknown };
  const known = KINDS.includes(header.t as FrameHeader['t']) && Object.values(header).every(isPlain);
  if (!known || !Number.isSafeInteger(header.n) || (header.n as number) < 0) {
    throw new HaiveError('BODY_INVALID', 'A frame header is not one this program knows');
  }
  if (
    header.t === 'blob' &&
    (!/^[0-9a-f]{64}$/.test(String(header.sha256)) || !['identity', 'br'].includes(String(header.enc)))
  ) {
    throw new HaiveError('BODY_INVALID', 'A blob frame lacks its sha256 or encoding');
  }
  return value as FrameHeader;
}

const isPlain = (value: unknown): boolean => typeof value === 'string' || typeof value === 'number';
