import { isJsonObject, type JsonObject } from '../json/read.ts';
import { classifier, namedPaths, plainPath } from './file-types.ts';
import type { FileType } from './record.ts';

/** One command, agent or skill that the client loads. */
export interface Component {
  kind: 'command' | 'agent' | 'skill';
  /** The Markdown file; of a skill its SKILL.md. */
  file: string;
  /** Its name by its place: `deploy`, `sub/deep` (called `sub:deep`), a skill's folder; empty for a skill in the plugin's root. */
  name: string;
  /** Whether the name in its front matter goes before the one of its place. */
  namesItself: boolean;
}

/** The components of a plugin, as the client finds them: a path in plugin.json may put a default folder aside. */
export function componentsOf(manifest: JsonObject, paths: readonly string[]): Component[] {
  const texts = paths.filter((path) => /\.md$/i.test(path));
  return [...textsOf(manifest, 'command', texts), ...textsOf(manifest, 'agent', texts), ...skillsOf(manifest, paths)];
}

/** What each file is to the client, as `classifier` says, but `other` for commands, agents and skills that it does not load. */
export function loadedTypes(manifest: JsonObject, paths: readonly string[]): (path: string) => FileType {
  const components = componentsOf(manifest, paths);
  const texts = new Map(components.map(({ file, kind }) => [file, kind]));
  // What lies beside a SKILL.md in the root is the plugin's own.
  const folders = new Set(components.flatMap((c) => (c.kind === 'skill' ? [skillFolder(c).slice(0, -1)] : [])));
  folders.delete('');
  const widely = classifier(manifest);
  return (path) => {
    const type = texts.get(path);
    if (type !== undefined) return type;
    if (placeOf(path, folders) !== undefined) return 'skill';
    const byPlace = widely(path);
    return byPlace === 'hook' || byPlace === 'mcp' ? byPlace : 'other';
  };
}

/** The folder of a skill, with the final `/`; empty for the plugin's root. */
export const skillFolder = ({ file }: Pick<Component, 'file'>): string => file.slice(0, -'SKILL.md'.length);

/** Paths that plugin.json names for a key, without `.`: the plugin itself is the empty path. */
const placesOf = (value: unknown): string[] => namedPaths(value).map((place) => (place === '.' ? '' : place));

/** The innermost of the places that is the path or a folder above it. */
function placeOf(path: string, places: ReadonlySet<string>): string | undefined {
  for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
    if (places.has(path.slice(0, end))) return path.slice(0, end);
  }
  return places.has('') ? '' : undefined;
}

/**
 * Where a file is below the places that a component has: those that plugin.json names instead of the folder, also where it
 * names none.
 * @returns a function that gives the path below, the file's own name where it is named itself, undefined where it is in no place
 */
export function belowPlaces(declared: unknown, folder: string): (file: string) => string | undefined {
  const places = new Set(declared === undefined ? [folder] : placesOf(declared));
  return (file) => {
    const place = placeOf(file, places);
    if (place === undefined) return undefined;
    return file.slice(place === file ? file.lastIndexOf('/') + 1 : place === '' ? 0 : place.length + 1);
  };
}

function textsOf(manifest: JsonObject, kind: 'command' | 'agent', paths: readonly string[]): Component[] {
  const declared = manifest[`${kind}s`];
  const belowOf = belowPlaces(declared, `${kind}s`);
  const titles = titlesOf(declared);
  return paths.flatMap((file) => {
    const below = belowOf(file);
    if (below === undefined) return [];
    const name = titles.get(file) ?? below.replace(/\.md$/, '');
    return [{ kind, file, name, namesItself: kind === 'agent' }];
  });
}

/** `commands` as an object gives each file its name. */
function titlesOf(declared: unknown): Map<string, string> {
  const entries = isJsonObject(declared) ? Object.entries(declared) : [];
  return new Map(
    entries.flatMap(([title, entry]) =>
      isJsonObject(entry) && typeof entry.source === 'string' ? [[plainPath(entry.source), title]] : [],
    ),
  );
}

/**
 * Folders with a SKILL.md right below `skills/` and the places that plugin.json adds; one in such a place itself is its only
 * skill. The root's own counts where there is nothing else: neither a folder `skills` nor a word of it in plugin.json.
 */
function skillsOf(manifest: JsonObject, paths: readonly string[]): Component[] {
  const places = new Set(['skills', ...placesOf(manifest.skills)]);
  const isAlone = manifest.skills === undefined && !paths.some((path) => path.startsWith('skills/'));
  const all = new Set(paths);
  const hasOwn = (place: string): boolean => all.has(place === '' ? 'SKILL.md' : `${place}/SKILL.md`);
  return paths.flatMap((file): Component[] => {
    if (file !== 'SKILL.md' && !file.endsWith('/SKILL.md')) return [];
    const folder = file === 'SKILL.md' ? '' : file.slice(0, -'/SKILL.md'.length);
    const cut = folder.lastIndexOf('/');
    const above = folder.slice(0, Math.max(cut, 0));
    const name = folder.slice(cut + 1);
    if (places.has(folder) || (folder === '' && isAlone)) return [{ kind: 'skill', file, name, namesItself: true }];
    const isChild = folder !== '' && places.has(above) && !hasOwn(above);
    return isChild ? [{ kind: 'skill', file, name, namesItself: false }] : [];
  });
}
