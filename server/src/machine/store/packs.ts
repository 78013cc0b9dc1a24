import * as fs from 'node:fs';
import { join } from 'node:path';
import { putFile, sha256Of } from '../files/content-file.ts';
import { fileError, removeFile } from '../files/file-port.ts';
import type { Machine } from '../machine.ts';

/**
 * Many blobs in one file, as one answer of the hub brought them: a file system makes one file faster than a thousand. A pack is its
 * blobs' bytes, an index of them as JSON, the length of that index in four bytes, and a mark. It never changes; what it names is
 * hashed when it is read, like any blob.
 */

export interface PackedBlob {
  /** File name of the pack. */
  pack: string;
  /** Where its bytes begin. */
  at: number;
  size: number;
}

const MARK = Buffer.from('hvpack1\n');
const TAIL = 4 + MARK.length;

export const isPack = (name: string): boolean => name.startsWith('pack-');

interface Known {
  /** The folder as it was when it was looked through. */
  same: string;
  packs: ReadonlyMap<string, readonly [sha256: string, size: number][]>;
  blobs: ReadonlyMap<string, PackedBlob>;
}

const known = new Map<string, Known>();

/**
 * Keeps blobs in one file.
 * @param blobs whose hashes the caller has checked
 * @throws HaiveError DISK_FULL, READ_ONLY, IO_ERROR
 */
export async function putPack(m: Machine, blobs: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const index = Buffer.from(JSON.stringify([...blobs].map(([sha256, { length }]) => [sha256, length])));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(index.length);
  const path = join(m.paths.blobs, `pack-${sha256Of(index).slice(0, 32)}`);
  await putFile(m, m.paths.blobs, path, Buffer.concat([...blobs.values(), index, length, MARK]));
  // Within one tick of the file system's clock the folder's time does not tell of it.
  const before = known.get(m.paths.blobs);
  if (before !== undefined) known.set(m.paths.blobs, { ...before, same: 'put' });
}

/** What lies in packs, by sha256; read anew where the folder has changed since. */
export function packedBlobs(m: Machine): ReadonlyMap<string, PackedBlob> {
  return look(m).blobs;
}

/** A packed blob's bytes as they lie there, unchecked; null where the pack is gone or shorter than it was. */
export function readPacked(m: Machine, { pack, at, size }: PackedBlob): Buffer | null {
  try {
    const file = fs.openSync(join(m.paths.blobs, pack), 'r');
    try {
      const bytes = Buffer.allocUnsafe(size);
      return size === 0 || fs.readSync(file, bytes, 0, size, at) === size ? bytes : null;
    } finally {
      fs.closeSync(file);
    }
  } catch {
    return null;
  }
}

/**
 * Takes a pack apart: those of its blobs that are whole and wanted become files of their own, the pack goes.
 * @throws HaiveError DISK_FULL, READ_ONLY, IO_ERROR; then the pack stays
 */
export async function unpackBlobs(m: Machine, pack: string, wanted: (sha256: string) => boolean): Promise<void> {
  let at = 0;
  for (const [sha256, size] of look(m).packs.get(pack) ?? []) {
    const bytes = wanted(sha256) ? readPacked(m, { pack, at, size }) : null;
    at += size;
    if (bytes !== null && sha256Of(bytes) === sha256)
      await putFile(m, m.paths.blobs, join(m.paths.blobs, sha256), bytes);
  }
  await removeFile(m.port, join(m.paths.blobs, pack));
}

/** A pack goes when nothing in it is wanted, and is taken apart when less than half of its bytes are. Others stay. */
export async function collectPack(m: Machine, pack: string, wanted: ReadonlySet<string>): Promise<boolean> {
  const blobs = look(m).packs.get(pack) ?? [];
  const sum = (some: typeof blobs): number => some.reduce((bytes, [, size]) => bytes + size, 0);
  const kept = blobs.filter(([sha256]) => wanted.has(sha256));
  if (kept.length > 0 && sum(kept) * 2 >= sum(blobs)) return false;
  await unpackBlobs(m, pack, (sha256) => wanted.has(sha256));
  return true;
}

function look(m: Machine): Known {
  const dir = m.paths.blobs;
  try {
    return lookInto(dir);
  } catch (error) {
    throw fileError(error, dir, 'read');
  }
}

function lookInto(dir: string): Known {
  const there = fs.statSync(dir, { bigint: true, throwIfNoEntry: false });
  const same = there === undefined ? '' : `${there.dev} ${there.ino} ${there.mtimeNs}`;
  const before = known.get(dir);
  if (before?.same === same) return before;
  const names = there === undefined ? [] : fs.readdirSync(dir).filter(isPack).sort();
  const packs = new Map(names.map((name) => [name, before?.packs.get(name) ?? indexOf(join(dir, name))]));
  const blobs = new Map<string, PackedBlob>();
  for (const [pack, index] of packs) {
    let at = 0;
    for (const [sha256, size] of index) {
      blobs.set(sha256, { pack, at, size });
      at += size;
    }
  }
  const now = { same, packs, blobs };
  known.set(dir, now);
  return now;
}

/** Nothing of what is no pack, or not all of one. */
function indexOf(path: string): readonly [string, number][] {
  try {
    const file = fs.openSync(path, 'r');
    try {
      const { size } = fs.fstatSync(file);
      const tail = read(file, size - TAIL, TAIL);
      if (!tail.subarray(4).equals(MARK)) return [];
      const length = tail.readUInt32BE(0);
      const index = JSON.parse(read(file, size - TAIL - length, length).toString('utf8')) as [string, number][];
      const bytes = index.reduce((sum, [, each]) => sum + each, 0);
      return bytes === size - TAIL - length ? index : [];
    } finally {
      fs.closeSync(file);
    }
  } catch {
    return [];
  }
}

function read(file: number, at: number, length: number): Buffer {
  if (at < 0) throw new RangeError('No pack is as short as that');
  const bytes = Buffer.alloc(length);
  fs.readSync(file, bytes, 0, length, at);
  return bytes;
}
