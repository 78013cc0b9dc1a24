import { encodeFrame } from '../../contract/frames.ts';
import { type Envelope, peekJson } from '../../domain/signing/dsse.ts';
import { makeDelta } from '../../domain/version/file-delta.ts';
import type { FileEntry, VersionRecord } from '../../domain/version/record.ts';
import { toRecordDelta } from '../../domain/version/record-delta.ts';
import { decodeBlob, readBlobs, type StoredBlob } from '../../storage/queries/blobs.ts';
import type { Store } from '../../storage/store.ts';
import { madeOncePerStore } from './made-once.ts';

/** A stored version: its digest and its record's envelope as JSON. */
export interface StoredVersion {
  digest: string;
  record: string;
}

/** What brings a machine from one version of a plugin to another. */
export interface Update {
  /** The record frame's bytes as differences; null where the whole record must be sent. */
  record: Buffer | null;
  /** Files that travel as deltas, by the sha256 of what comes out. */
  deltas: ReadonlyMap<string, { of: number; from: number; bytes: Buffer }>;
}

const updates = madeOncePerStore<Update>(32 * 1024 * 1024, sizeOf);

/** Made once for each pair of versions: a fleet mostly makes the same step. The caller may read both. */
export function updateBetween(store: Store, base: StoredVersion, next: StoredVersion): Promise<Update> {
  return updates(store).get(`${base.digest} ${next.digest}`, () => makeUpdate(store, base, next));
}

function sizeOf({ record, deltas }: Update): number {
  let bytes = 500 + (record?.length ?? 0);
  for (const delta of deltas.values()) bytes += delta.bytes.length + 200;
  return bytes;
}

async function makeUpdate(store: Store, base: StoredVersion, next: StoredVersion): Promise<Update> {
  const old = recordOf(base);
  const envelope = JSON.parse(next.record) as Envelope;
  const { signatures } = envelope;
  const record = toRecordDelta(old, Buffer.from(envelope.payload, 'base64'));
  const deltas = new Map<string, { of: number; from: number; bytes: Buffer }>();
  const pairs = pairUp(old.files, recordOf(next).files);
  const needed = new Set(pairs.flatMap(([from, of]) => [from.file.sha256, of.file.sha256]));
  const blobs = new Map((await readBlobs(store.read, needed)).map((blob) => [blob.sha256, blob]));
  for (const [from, of] of pairs) {
    const [was, is] = [blobs.get(from.file.sha256), blobs.get(of.file.sha256)];
    if (was === undefined || is === undefined) continue;
    const bytes = await smallerThanWhole(was, is);
    if (bytes !== null) deltas.set(is.sha256, { of: of.index, from: from.index, bytes });
  }
  return { record: record === null ? null : Buffer.from(JSON.stringify({ signatures, record })), deltas };
}

/** What a blob frame's header costs beyond a delta frame's. */
const HEADER = 60;

async function smallerThanWhole(was: StoredBlob, is: StoredBlob): Promise<Buffer | null> {
  const delta = makeDelta(await decodeBlob(was), await decodeBlob(is));
  return delta !== null && delta.length < is.data.length + HEADER ? delta : null;
}

function recordOf({ record }: StoredVersion): VersionRecord {
  return peekJson(JSON.parse(record) as Envelope) as VersionRecord;
}

interface Placed {
  file: FileEntry;
  index: number;
}

/** Files with new bytes, each beside the old file it was most likely made from: same path, else same name. */
function pairUp(old: readonly FileEntry[], next: readonly FileEntry[]): [from: Placed, of: Placed][] {
  const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
  const byPath = new Map<string, Placed>();
  const byName = new Map<string, Placed>();
  const done = new Set<string>();
  for (const [index, file] of old.entries()) {
    byPath.set(file.path, { file, index });
    byName.set(nameOf(file.path), { file, index });
    done.add(file.sha256);
  }
  const pairs: [Placed, Placed][] = [];
  for (const [index, file] of next.entries()) {
    const from = byPath.get(file.path) ?? byName.get(nameOf(file.path));
    if (done.has(file.sha256) || from === undefined) continue;
    done.add(file.sha256);
    pairs.push([from, { file, index }]);
  }
  return pairs;
}

/** The record frame of an update, and those deltas whose outcome is among `wanted`; takes them out of it. */
export function framesOf(
  update: Update,
  versions: { base: string; digest: string; key: string | undefined },
  wanted: { delete(sha256: string): boolean },
): Buffer[] | null {
  if (update.record === null) return null;
  const { base, digest, key } = versions;
  const head = { t: 'record', digest, ...(key === undefined ? {} : { key }), base, n: 0 } as const;
  const frames = [encodeFrame(head, update.record)];
  for (const [sha256, { of, from, bytes }] of update.deltas) {
    if (wanted.delete(sha256)) frames.push(encodeFrame({ t: 'delta', of, from, n: 0 }, bytes));
  }
  return frames;
}
