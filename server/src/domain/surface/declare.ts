import { isJsonObject, readJson } from '../json/read.ts';
import { translate } from '../translate/index.ts';
import { MANIFEST_PATH } from '../version/file-types.ts';
import type { SourceFile } from '../version/package.ts';
import { isUndeclared } from './change.ts';
import { computeSurface, SURFACE_KEYS } from './index.ts';

/**
 * Files that we write for an author: where they do something, `haivemind.permissions` says so, and more is refused from then on.
 * What declares already, or does nothing, stays as it is.
 */
export function withDeclaration(files: readonly SourceFile[]): SourceFile[] {
  const manifest = readJson(files.find((f) => f.path === MANIFEST_PATH)?.bytes);
  const surface = computeSurface(translate(files).files);
  if (manifest === undefined || !isUndeclared(manifest, surface)) return [...files];
  const kinds = SURFACE_KEYS.filter((key) => surface[key].length > 0);
  const permissions = Object.fromEntries(kinds.map((key) => [key, surface[key]]));
  const haivemind = { ...(isJsonObject(manifest.haivemind) ? manifest.haivemind : {}), permissions };
  const bytes = Buffer.from(`${JSON.stringify({ ...manifest, haivemind }, null, 2)}\n`);
  return files.map((file) => (file.path === MANIFEST_PATH ? { ...file, bytes } : file));
}
