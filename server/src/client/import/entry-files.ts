import { MANIFEST_PATH, namedPaths } from '../../domain/file-types.ts';
import type { SourceFile } from '../../domain/package.ts';
import { isJsonObject, type JsonObject, readJson } from '../../domain/read-json.ts';
import type { CatalogueEntry } from './catalogue.ts';

const FIELDS = ['description', 'version', 'author', 'homepage', 'repository', 'license', 'keywords'];
const COMPONENTS = ['commands', 'agents', 'skills', 'hooks', 'mcpServers', 'lspServers', 'outputStyles'];
/** Components that are nothing but the files they name. */
const TEXTS = ['commands', 'agents', 'skills'];

/**
 * A catalogue entry's plugin as it must stand alone: plugin.json completed by what only the entry says. A plugin that is only a
 * selection of a shared folder (no plugin.json, nothing but texts) is cut down to what it names.
 * @param version what to write where nobody gives a version
 */
export function entryFiles(given: readonly SourceFile[], entry: CatalogueEntry, version: string): SourceFile[] {
  const own = given.find((f) => f.path === MANIFEST_PATH);
  const read = own === undefined ? {} : readJson(own.bytes);
  // what is there and cannot be read is for validation to tell
  if (read === undefined) return [...given];
  const manifest: JsonObject = { ...read };
  if (own === undefined) manifest.name = entry.name;
  for (const key of FIELDS) if (manifest[key] === undefined && entry[key] !== undefined) manifest[key] = entry[key];
  if (own === undefined || entry.strict === false)
    for (const key of COMPONENTS)
      if (manifest[key] === undefined && entry[key] !== undefined) manifest[key] = entry[key];
  if (manifest.version === undefined || manifest.version === '') manifest.version = version;
  if (own !== undefined && JSON.stringify(manifest) === JSON.stringify(read)) return [...given];
  const bytes = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
  const others = (own === undefined ? selected(given, manifest) : given).filter((f) => f.path !== MANIFEST_PATH);
  return [...others, { path: MANIFEST_PATH, bytes, executable: false }];
}

/** Whether the version is ours to choose. */
export function isVersionless(given: readonly SourceFile[], entry: CatalogueEntry): boolean {
  if (typeof entry.version === 'string' && entry.version !== '') return false;
  const version = readJson(given.find((f) => f.path === MANIFEST_PATH)?.bytes)?.version;
  return version === undefined || version === '';
}

function selected(files: readonly SourceFile[], manifest: JsonObject): readonly SourceFile[] {
  const named = COMPONENTS.filter((key) => manifest[key] !== undefined);
  const onlyTexts = named.length > 0 && named.every((key) => TEXTS.includes(key) && !isJsonObject(manifest[key]));
  const roots = named.flatMap((key) => namedPaths(manifest[key]));
  if (!onlyTexts || roots.some((root) => root === '' || root === '.')) return files;
  const keep = (path: string): boolean =>
    roots.some((root) => path === root || path.startsWith(`${root}/`)) ||
    /^(?:readme|licen[cs]e|notice)[^/]*$/i.test(path);
  return files.filter((f) => keep(f.path));
}
