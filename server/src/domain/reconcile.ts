import { diff3Merge } from 'node-diff3';

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
 * Three-way merge of text. A JSON file must be JSON afterwards too.
 * @returns the merged bytes, or null where the sides collide or one is not UTF-8 text of at most 1 MiB
 */
export function mergeText(path: string, base: Uint8Array, disk: Uint8Array, next: Uint8Array): Buffer | null {
  const [o, a, b] = [textOf(base), textOf(disk), textOf(next)];
  if (o === null || a === null || b === null) return null;
  const regions = diff3Merge(linesOf(a), linesOf(o), linesOf(b), { excludeFalseConflicts: true });
  let merged = '';
  for (const region of regions) {
    if (region.ok === undefined) return null;
    merged += region.ok.join('');
  }
  if (path.endsWith('.json') && isJson(a) && isJson(b) && !isJson(merged)) return null;
  return Buffer.from(merged);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
