import { isDeepStrictEqual } from 'node:util';
import { MANIFEST_PATH } from './file-types.ts';
import type { FileEntry } from './record.ts';

/** A version as it is shipped. */
export interface Content {
  /** plugin.json. */
  manifest: Record<string, unknown>;
  files: readonly Pick<FileEntry, 'path' | 'sha256' | 'executable'>[];
}

/** Whether two versions of a plugin differ in nothing but their number. */
export function isSameContent(one: Content, other: Content): boolean {
  return isDeepStrictEqual(essence(one), essence(other));
}

function essence({ manifest, files }: Content) {
  const others = files.filter((f) => f.path !== MANIFEST_PATH).map((f) => [f.path, [f.sha256, f.executable]] as const);
  return { manifest: { ...manifest, version: null }, files: new Map(others) };
}
