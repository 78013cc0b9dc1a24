import { readEntry } from '../../domain/desired/dependencies.ts';
import { isJsonObject, type JsonObject, readJson } from '../../domain/json/read.ts';
import { classify, MANIFEST_PATH, namedPaths, plainPath } from '../../domain/version/file-types.ts';
import type { SourceFile } from '../../domain/version/package.ts';
import type { CatalogueEntry } from './catalogue.ts';

const FIELDS = ['description', 'version', 'author', 'homepage', 'repository', 'license', 'keywords'];
const COMPONENTS = ['commands', 'agents', 'skills', 'hooks', 'mcpServers', 'lspServers', 'outputStyles'];
/** What an entry that is the whole manifest may say besides. */
const FURTHER = [
  'displayName',
  'dependencies',
  'userConfig',
  'channels',
  'settings',
  'monitors',
  'themes',
  'experimental',
];
/** Where the client finds what `classify` does not know. */
const OTHER_PLACES = /^(?:output-styles|monitors|themes|workflows)\/|^(?:\.lsp|settings)\.json$/;
/** Components that are nothing but the files they name. */
const TEXTS = ['commands', 'agents', 'skills'];

/**
 * A catalogue entry's plugin as it must stand alone: plugin.json completed by what only the entry says. A plugin that is only a
 * selection of the marketplace's own folder (no plugin.json, nothing but texts) is cut down to what it names.
 * @param version what to write where nobody gives a version
 * @param marketplace what the marketplace calls itself: its plugins are the collective's afterwards
 */
export function entryFiles(
  given: readonly SourceFile[],
  entry: CatalogueEntry,
  version: string,
  marketplace?: string,
): SourceFile[] {
  const own = given.find((f) => f.path === MANIFEST_PATH);
  const read = own === undefined ? {} : readJson(own.bytes);
  // what is there and cannot be read is for validation to tell
  if (read === undefined) return [...given];
  const manifest: JsonObject = { ...read };
  if (own === undefined) {
    manifest.name = entry.name;
    for (const key of FURTHER) if (entry[key] !== undefined) manifest[key] = entry[key];
  }
  for (const key of FIELDS) if (manifest[key] === undefined && entry[key] !== undefined) manifest[key] = entry[key];
  const selects = isSelection(given, entry);
  if (own === undefined || entry.strict === false)
    for (const key of COMPONENTS)
      if (manifest[key] === undefined && entry[key] !== undefined)
        manifest[key] = selects ? entry[key] : besideDefault(key, entry[key], given);
  if (manifest.version === undefined || manifest.version === '') manifest.version = version;
  if (Array.isArray(manifest.dependencies))
    manifest.dependencies = manifest.dependencies.map((dependency) => ofCollective(dependency, marketplace));
  if (own !== undefined && JSON.stringify(manifest) === JSON.stringify(read)) return [...given];
  const bytes = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
  const others = (selects ? selected(given, manifest) : given).filter((f) => f.path !== MANIFEST_PATH);
  return [...others, { path: MANIFEST_PATH, bytes, executable: false }];
}

/** A dependency on a plugin of the marketplace itself, without its name: Claude Code would look for that marketplace. */
function ofCollective(dependency: unknown, marketplace: string | undefined): unknown {
  const read = readEntry(dependency);
  if (read?.marketplace === undefined || read.marketplace !== marketplace) return dependency;
  if (!isJsonObject(dependency)) return read.name;
  const { marketplace: _own, ...rest } = dependency;
  return rest;
}

/** Whether there is any plugin: a manifest, a component in its place, or what the entry says of one. */
export function isPlugin(given: readonly SourceFile[], entry: CatalogueEntry): boolean {
  const isPart = ({ path }: SourceFile) =>
    path === MANIFEST_PATH || classify(path) !== 'other' || OTHER_PLACES.test(path);
  const says = (key: string) => key !== 'displayName' && key !== 'userConfig' && entry[key] !== undefined;
  return given.some(isPart) || [...COMPONENTS, ...FURTHER].some(says);
}

/** Whether a path of the marketplace can be part of the entry's plugin: an entry may name only some of the texts there. */
export function isPicked(given: readonly SourceFile[], entry: CatalogueEntry, path: string): boolean {
  if (!isSelection(given, entry)) return true;
  const roots = COMPONENTS.flatMap((key) => namedPaths(entry[key]));
  return roots.some((root) => isBelow(path, new Set([root])) || isBelow(root, new Set([path])));
}

/** Whether the version is ours to choose. */
export function isVersionless(given: readonly SourceFile[], entry: CatalogueEntry): boolean {
  if (typeof entry.version === 'string' && entry.version !== '') return false;
  const version = readJson(given.find((f) => f.path === MANIFEST_PATH)?.bytes)?.version;
  return version === undefined || version === '';
}

function isSelection(given: readonly SourceFile[], entry: CatalogueEntry): boolean {
  return !given.some((f) => f.path === MANIFEST_PATH) && isShared(entry) && namesTextsOnly(entry);
}

/** Whether the entry's folder is the whole marketplace, of which each entry picks a part. */
function isShared(entry: CatalogueEntry): boolean {
  return typeof entry.source === 'string' && ['', '.'].includes(plainPath(entry.source));
}

function namesTextsOnly(entry: CatalogueEntry): boolean {
  const named = COMPONENTS.filter((key) => entry[key] !== undefined);
  if (named.length === 0 || !named.every((key) => TEXTS.includes(key) && !isJsonObject(entry[key]))) return false;
  return !named.flatMap((key) => namedPaths(entry[key])).some((root) => root === '' || root === '.');
}

/** What an entry names, the client loads beside the default folder; what plugin.json names, in its place. */
function besideDefault(key: string, value: unknown, files: readonly SourceFile[]): unknown {
  const inFolder = files.filter((f) => f.path.startsWith(`${key}/`) && f.path.endsWith('.md'));
  if ((key !== 'commands' && key !== 'agents') || isJsonObject(value) || inFolder.length === 0) return value;
  const defaults = key === 'commands' ? ['./commands/'] : inFolder.map((f) => `./${f.path}`);
  const plain = new Set(defaults.map(plainPath));
  return [...defaults, ...[value].flat().filter((v) => typeof v === 'string' && !isBelow(plainPath(v), plain))];
}

function isBelow(path: string, places: ReadonlySet<string>): boolean {
  return [...places].some((place) => path === place || path.startsWith(`${place}/`));
}

function selected(files: readonly SourceFile[], manifest: JsonObject): readonly SourceFile[] {
  const roots = COMPONENTS.flatMap((key) => namedPaths(manifest[key]));
  const keep = (path: string): boolean =>
    roots.some((root) => path === root || path.startsWith(`${root}/`)) ||
    /^(?:readme|licen[cs]e|notice)[^/]*$/i.test(path);
  return files.filter((f) => keep(f.path));
}
