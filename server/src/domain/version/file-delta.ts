import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { HaiveError } from '../errors.ts';

/**
 * One file as differences from another: runs copied from the old bytes, and pieces deflated with a window of the old bytes as
 * dictionary. Deflate sees 32 KB, so each piece takes the 32 KB of the old file around the place it comes from. A delta proves
 * nothing: whoever applies one compares the sha256 of what comes out.
 *
 * Bytes: operations, each led by a varint `length << 1 | kind`. Kind 0: copy `length` bytes from varint `offset`. Kind 1: `length`
 * bytes come out of raw deflate: varints `offset` and `size` of the dictionary, varint `packed`, then the packed bytes.
 */

const PIECE = 16 * 1024;
/** Of a piece's dictionary, what lies before the place it comes from; the rest follows it. */
const BEHIND = 8 * 1024;
const WINDOW = 32 * 1024;
/** A shorter run costs more as a copy than within the piece beside it. */
const MIN_RUN = 24;
/** Finding differences in larger files takes longer than sending them is worth. */
export const MAX_DELTA_FILE = 4 * 1024 * 1024;

/** @returns the delta; null when either side is over MAX_DELTA_FILE or the delta would not be smaller than `next` */
export function makeDelta(base: Uint8Array, next: Uint8Array): Buffer | null {
  if (base.length > MAX_DELTA_FILE || next.length > MAX_DELTA_FILE) return null;
  const head = runOf(commonPrefix(base, next));
  const tail = runOf(commonSuffix(base, next, head));
  const parts: Buffer[] = [];
  if (head > 0) parts.push(varint(head << 1), varint(0));
  const [from, to] = [head, next.length - tail];
  const [oldFrom, oldTo] = [head, base.length - tail];
  for (let at = from; at < to; at += PIECE) {
    const end = Math.min(at + PIECE, to);
    // Where the piece lies in the old file, taken that what was added or removed is spread evenly.
    const place = oldFrom + Math.round(((at - from) / (to - from)) * (oldTo - oldFrom));
    const [offset, size] = windowAt(place, base.length);
    const packed = deflateRawSync(next.subarray(at, end), {
      level: 9,
      memLevel: 9,
      ...(size > 0 ? { dictionary: base.subarray(offset, offset + size) } : {}),
    });
    parts.push(varint(((end - at) << 1) | 1), varint(offset), varint(size), varint(packed.length), packed);
  }
  if (tail > 0) parts.push(varint(tail << 1), varint(base.length - tail));
  const delta = Buffer.concat(parts);
  return delta.length < next.length ? delta : null;
}

/**
 * The new file.
 * @param size bytes it must have
 * @throws HaiveError HASH_MISMATCH when the delta is not one, does not fit the base, or does not come to `size`
 */
export function applyDelta(base: Uint8Array, delta: Uint8Array, size: number): Buffer {
  const bad = (why: string, cause?: unknown): HaiveError =>
    new HaiveError('HASH_MISMATCH', `A delta does not fit the bytes that it was made from: ${why}`, { cause });
  if (size > MAX_DELTA_FILE) throw bad(`it promises ${size} bytes`);
  const out = Buffer.alloc(size);
  let [at, done] = [0, 0];
  const number = (): number => {
    let [value, shift] = [0, 1];
    for (;;) {
      const byte = delta[at++];
      if (byte === undefined || shift > 2 ** 35) throw bad('it ends early');
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
      shift *= 128;
    }
  };
  const old = (offset: number, length: number): Uint8Array => {
    if (offset + length > base.length) throw bad('it reaches past the end');
    return base.subarray(offset, offset + length);
  };
  while (at < delta.length) {
    const tag = number();
    const length = Math.floor(tag / 2);
    if (length === 0 || done + length > size) throw bad('it comes to more than it should');
    if (tag % 2 === 0) out.set(old(number(), length), done);
    else {
      const dictionary = old(number(), number());
      const packed = number();
      if (dictionary.length > WINDOW || at + packed > delta.length) throw bad('it ends early');
      let piece: Buffer;
      try {
        piece = inflateRawSync(delta.subarray(at, at + packed), {
          maxOutputLength: length,
          ...(dictionary.length > 0 ? { dictionary } : {}),
        });
      } catch (cause) {
        throw bad('a piece does not unpack', cause);
      }
      if (piece.length !== length) throw bad('a piece has another length');
      out.set(piece, done);
      at += packed;
    }
    done += length;
  }
  if (done !== size) throw bad('it comes to less than it should');
  return out;
}

const runOf = (length: number): number => (length < MIN_RUN ? 0 : length);

function windowAt(place: number, total: number): [offset: number, size: number] {
  const offset = Math.max(0, Math.min(place - BEHIND, total - WINDOW));
  return [offset, Math.min(WINDOW, total - offset)];
}

function commonPrefix(a: Uint8Array, b: Uint8Array): number {
  const most = Math.min(a.length, b.length);
  let n = 0;
  while (n < most && a[n] === b[n]) n++;
  return n;
}

function commonSuffix(a: Uint8Array, b: Uint8Array, head: number): number {
  const most = Math.min(a.length, b.length) - head;
  let n = 0;
  while (n < most && a[a.length - 1 - n] === b[b.length - 1 - n]) n++;
  return n;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
