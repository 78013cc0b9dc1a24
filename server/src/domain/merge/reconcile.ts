import { diff3Merge } from 'node-diff3';
import { mergeJson, plainJson, sameJson } from './merge-json.ts';

/** A user's edits against an update, file by file. Pure: hashes in, a decision out. */

export interface ThreeSides {
  /** What both started from; null where that version had no such file. */
  base: string | null;
  /** What lies on disk now; null where the user deleted it. */
  disk: string | null;
  /** What the new version brings; null where it has no such file. */
  next: string | null;
}

/** `keep-disk` with no file on disk means that it stays deleted; `take-next` with none in the new version, that it goes. */
export type Decision = 'take-next' | 'keep-disk' | 'merge' | 'conflict';

/** Decides by sha256 (or any other equality) what becomes of one file. */
export function reconcileFile({ base, disk, next }: ThreeSides): Decision {
  if (disk === base || disk === next) return 'take-next';
  if (next === base) return 'keep-disk';
  // The user deleted what the new version changed: news wins over absence, nothing of the user's is lost.
  if (disk === null) return 'take-next';
  // The new version drops what the user changed.
  if (next === null) return 'keep-disk';
  return base === null ? 'conflict' : 'merge';
}

const MAX_MERGE_BYTES = 1024 * 1024;

function textOf(bytes: Uint8Array): string | null {
  if (bytes.length > MAX_MERGE_BYTES || bytes.includes(0)) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** Lines with their ends, so that line ends and a missing last one survive. */
function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

/**
 * Three-way merge of text; of JSON files also by structure, where lines collide or joining them would say something else.
 * @returns the merged bytes, or null where the sides collide or one is not UTF-8 text of at most 1 MiB
 */
export function mergeText(path: string, base: Uint8Array, disk: Uint8Array, next: Uint8Array): Buffer | null {
  const [o, a, b] = [textOf(base), textOf(disk), textOf(next)];
  if (o === null || a === null || b === null) return null;
  const lines = mergeLines(o, a, b);
  const merged = path.endsWith('.json') ? mergeJsonText(o, a, b, lines) : lines;
  return merged === null ? null : Buffer.from(merged);
}

function mergeLines(base: string, disk: string, next: string): string | null {
  const regions = diff3Merge(linesOf(disk), linesOf(base), linesOf(next), { excludeFalseConflicts: true });
  if (regions.some((region) => region.ok === undefined)) return null;
  return regions.map((region) => (region.ok ?? []).join('')).join('');
}

/** The lines' merge where it says what the structure's does, so that the file keeps its look; otherwise the structure's, indented as it was. */
function mergeJsonText(base: string, disk: string, next: string, lines: string | null): string | null {
  const [o, a, b] = [plainJson(base), plainJson(disk), plainJson(next)];
  // A side that is no plain JSON has no structure to go by; what is made of two that are JSON must be JSON, too.
  if (o === undefined || a === undefined || b === undefined)
    return lines !== null && isJson(disk) && isJson(next) && !isJson(lines) ? null : lines;
  const merged = mergeJson(o, a, b);
  if (merged === undefined) return null;
  const joined = lines === null ? undefined : plainJson(lines);
  if (lines !== null && joined !== undefined && sameJson(joined, merged)) return lines;
  const indent = /\n([ \t]+)/.exec(disk)?.[1] ?? '';
  const eol = disk.includes('\r\n') ? '\r\n' : '\n';
  return JSON.stringify(merged, null, indent).replaceAll('\n', eol) + (/\s*$/.exec(disk)?.[0] ?? '');
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
