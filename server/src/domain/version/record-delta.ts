import type { FileEntry, VersionRecord } from './record.ts';

/**
 * A version's record as differences from that of the version it replaces: files that stayed are runs [first, count] in the
 * earlier record's list, the others are written out. Expanding gives the very bytes that were signed.
 */
/** More files than any version has. */
const MAX_FILES = 100_000;

export type RecordPart = [first: number, count: number] | FileEntry;
export type RecordDelta = Omit<VersionRecord, 'files'> & { files: RecordPart[] };

/** @param payload the bytes that were signed @returns null where expanding would not give those */
export function toRecordDelta(base: Pick<VersionRecord, 'files'>, payload: Uint8Array): RecordDelta | null {
  const text = Buffer.from(payload).toString('utf8');
  const next = JSON.parse(text) as VersionRecord;
  const at = new Map(base.files.map((file, index) => [JSON.stringify(file), index]));
  const parts: RecordPart[] = [];
  for (const file of next.files) {
    const there = at.get(JSON.stringify(file));
    const last = parts.at(-1);
    if (there === undefined) parts.push(file);
    else if (Array.isArray(last) && last[0] + last[1] === there) last[1]++;
    else parts.push([there, 1]);
  }
  const delta = { ...next, files: parts };
  const expanded = fromRecordDelta(base, delta);
  return expanded !== null && JSON.stringify(expanded) === text ? delta : null;
}

/** The whole record; null when the differences do not fit the base. */
export function fromRecordDelta(base: Pick<VersionRecord, 'files'>, delta: RecordDelta): VersionRecord | null {
  // What arrives may be any JSON.
  if (!Array.isArray(delta?.files)) return null;
  const files: FileEntry[] = [];
  for (const part of delta.files) {
    // A delta of few bytes may name the same run over and over.
    if (files.length > MAX_FILES) return null;
    if (!Array.isArray(part)) {
      files.push(part);
      continue;
    }
    const run = base.files.slice(part[0], part[0] + part[1]);
    if (run.length !== part[1]) return null;
    files.push(...run);
  }
  // Spreading keeps the order of keys, and with it the bytes.
  return { ...delta, files };
}
