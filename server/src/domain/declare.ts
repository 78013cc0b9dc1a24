import { MANIFEST_PATH } from './file-types.ts';
import type { SourceFile } from './package.ts';
import { isJsonObject, readJson } from './read-json.ts';
import { computeSurface, SURFACE_KEYS } from './surface.ts';
import { isUndeclared } from './surface-change.ts';
import { translate } from './translate.ts';

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
