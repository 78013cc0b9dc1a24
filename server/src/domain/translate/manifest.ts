import { type MapEntry, readEntry, splitBlock, type WrittenDependency } from '../desired/dependencies.ts';
import { editJson } from '../json/edit.ts';
import { isJsonObject, type JsonObject } from '../json/read.ts';
import { plainName, plainVersion } from './identity.ts';
import type { Report } from './index.ts';
import { type Placed, placeComponent } from './places.ts';

const COMPONENTS = ['commands', 'agents', 'skills', 'hooks', 'mcpServers'] as const;

const WHY_NAME = 'Some file systems do not tell capitals from small letters, so a plugin has its name in small ones.';
const WHY_VERSION = 'Versions must order: three numbers, as in 1.2.0.';
const WHY_COMPONENTS =
  'Claude Code ignores `components`: it finds the default places itself and others by its own keys.';
const WHY_DEPENDENCIES =
  'Claude Code refuses `dependencies` as an object and enforces what its list says; what the list cannot say stays under `haivemind`.';

/** Translates plugin.json's text. Text that is not a JSON object is returned as it is. */
export function translateManifest(text: string, files: ReadonlySet<string>, report: Report): string {
  const bom = text.startsWith('\uFEFF') ? '\uFEFF' : '';
  let json = text.slice(bom.length);
  let manifest: unknown;
  try {
    manifest = JSON.parse(json);
  } catch {
    return text;
  }
  if (!isJsonObject(manifest)) return text;
  json = translateIdentity(json, manifest, report);
  json = translateComponents(json, manifest, files, report);
  json = translatePlaces(json, files, report);
  json = translateDependencies(json, report);
  return bom + json;
}

function translateIdentity(json: string, manifest: JsonObject, report: Report): string {
  let text = json;
  const change = (key: string, plain: string | undefined, why: string): void => {
    if (plain === undefined) return;
    const before = `${JSON.stringify(key)}: ${JSON.stringify(manifest[key])}`;
    text = editJson(text, [key], plain);
    report(key, before, `${JSON.stringify(key)}: ${JSON.stringify(plain)}`, why);
  };
  if (typeof manifest.name === 'string') change('name', plainName(manifest.name), WHY_NAME);
  if (typeof manifest.version === 'string') change('version', plainVersion(manifest.version), WHY_VERSION);
  return text;
}

function translateComponents(json: string, manifest: JsonObject, files: ReadonlySet<string>, report: Report): string {
  const components = manifest.components;
  if (!isJsonObject(components)) return json;
  let text = json;
  let left = Object.keys(components).length;
  for (const key of COMPONENTS) {
    if (!(key in components)) continue;
    const value = components[key];
    const placed = placeComponent(key, value, files);
    if (placed.kind === 'leave') continue;
    const before = `"components": {${JSON.stringify(key)}: ${JSON.stringify(value)}}`;
    left -= 1;
    text = editJson(text, ['components', key], undefined);
    if (placed.kind === 'default' || key in manifest) {
      report('components', before, '', WHY_COMPONENTS);
    } else {
      text = editJson(text, [key], placed.value);
      report('components', before, `${JSON.stringify(key)}: ${JSON.stringify(placed.value)}`, WHY_COMPONENTS);
    }
  }
  if (left === 0) text = editJson(text, ['components'], undefined);
  return text;
}

/** The author's own native keys where the client refuses their form: agents as a folder, paths without `./`. */
function translatePlaces(json: string, files: ReadonlySet<string>, report: Report): string {
  let text = json;
  const manifest = JSON.parse(text) as JsonObject;
  for (const key of COMPONENTS) {
    const value = manifest[key];
    if (!refused(key, value)) continue;
    const placed: Placed = placeComponent(key, value, files);
    if (placed.kind === 'leave') continue;
    const after = placed.kind === 'default' ? undefined : placed.value;
    if (JSON.stringify(after) === JSON.stringify(value)) continue;
    text = editJson(text, [key], after);
    report(
      'component-path',
      `${JSON.stringify(key)}: ${JSON.stringify(value)}`,
      after === undefined ? '' : `${JSON.stringify(key)}: ${JSON.stringify(after)}`,
      'Claude Code wants paths that start with ./ and, for agents, .md files instead of folders.',
    );
  }
  return text;
}

function refused(key: string, value: unknown): boolean {
  const paths = typeof value === 'string' ? [value] : Array.isArray(value) ? value : [];
  if (!paths.every((p): p is string => typeof p === 'string')) return false;
  return paths.some((p) => !p.startsWith('./') || (key === 'agents' && !p.endsWith('.md')));
}

function translateDependencies(json: string, report: Report): string {
  const manifest = JSON.parse(json) as JsonObject;
  const { dependencies, haivemind } = manifest;
  if (haivemind !== undefined && !isJsonObject(haivemind)) return json;
  const block = isJsonObject(haivemind?.dependencies) ? haivemind.dependencies : {};
  const there = splitBlock(block);
  const native: unknown[] = [];
  const optional: WrittenDependency[] = [];
  let rest: JsonObject = {};
  const sort = (list: readonly unknown[], asOptional: boolean): boolean =>
    list.every((entry) => {
      const read = readEntry(entry);
      if (read === undefined) return false;
      if (asOptional || read.optional) optional.push(read);
      else native.push(nativeForm(entry, read));
      return true;
    });

  if (Array.isArray(dependencies)) {
    if (!sort(dependencies, false)) return json;
    const same = optional.length === 0 && JSON.stringify(native) === JSON.stringify(dependencies);
    if (same && there.map.length === 0) return json;
  } else if (isJsonObject(dependencies)) {
    const { map, lists, unknown } = splitBlock(dependencies);
    const { plugins = [], optional: more = [], ...others } = lists;
    if (!Array.isArray(plugins) || !Array.isArray(more)) return json;
    if (!sort(plugins, false) || !sort(more, true) || !sort(map.map(entryOf), false)) return json;
    rest = { ...others, ...unknown };
  } else if (dependencies !== undefined || there.map.length === 0) {
    return json;
  }
  if (!sort(there.map.map(entryOf), false)) return json;
  const kept = { ...there.lists, ...there.unknown };
  const merged = mergeKept(kept, optional, rest);
  if (merged === undefined) return json;

  let text = editJson(json, ['dependencies'], native.length === 0 ? undefined : native);
  if (there.map.length > 0 || JSON.stringify(merged) !== JSON.stringify(kept)) {
    text = editJson(text, ['haivemind', 'dependencies'], Object.keys(merged).length === 0 ? undefined : merged);
  }
  const parts = [
    ...(native.length === 0 ? [] : [`"dependencies": ${JSON.stringify(native)}`]),
    ...(Object.keys(merged).length === 0 ? [] : [`"haivemind": {"dependencies": ${JSON.stringify(merged)}}`]),
  ];
  const before = there.map.length > 0 ? { dependencies, haivemind: { dependencies: block } } : { dependencies };
  report('dependencies', JSON.stringify(before).slice(1, -1), parts.join(', '), WHY_DEPENDENCIES);
  return text;
}

const entryOf = ({ entry }: MapEntry): JsonObject => entry;

function nativeForm(entry: unknown, read: WrittenDependency): unknown {
  const { range, marketplace } = read;
  const plain = plainName(read.name);
  const name = plain ?? read.name;
  if (typeof entry === 'string' && range === undefined)
    return plain === undefined ? entry : entry.replace(read.name, plain);
  // any version is the latest one: as a range, the client finds nothing that fits the word
  const isLatest = range === 'latest';
  if (isJsonObject(entry) && entry.range === undefined && entry.optional === undefined && !isLatest)
    return plain === undefined ? entry : { ...entry, name: plain };
  const version = range === undefined || range === '*' || isLatest ? {} : { version: range };
  const where = marketplace === undefined ? {} : { marketplace };
  return Object.keys(version).length + Object.keys(where).length === 0 ? name : { name, ...version, ...where };
}

function mergeKept(kept: JsonObject, optional: WrittenDependency[], rest: JsonObject): JsonObject | undefined {
  const merged: JsonObject = { ...kept };
  const add = (key: string, values: readonly unknown[]): boolean => {
    const before = merged[key] ?? [];
    if (!Array.isArray(before)) return false;
    const seen = new Set(before.map((v) => JSON.stringify(v)));
    const all = [...before, ...values.filter((v) => !seen.has(JSON.stringify(v)))];
    if (all.length > 0) merged[key] = all;
    return true;
  };
  const written = optional.map((o) => (o.range === undefined ? o.name : `${o.name}@${o.range}`));
  if (!add('optional', written)) return undefined;
  for (const [key, value] of Object.entries(rest)) {
    if (Array.isArray(value)) {
      if (!add(key, value)) return undefined;
    } else if (!(key in merged)) merged[key] = value;
  }
  return merged;
}
