import { HaiveError } from '../errors.ts';
import { checkPluginName, checkRange, isRange } from '../names.ts';
import type { Dependency, DependencyKind } from '../version/manifest.ts';

/**
 * Dependencies in every form they are written in: the client's native list, the seed's object, and the
 * `haivemind.dependencies` block that keeps what the native list cannot say.
 */

/** One entry as written: a name, an optional range, an optional marketplace of the client. */
export interface WrittenDependency {
  name: string;
  range: string | undefined;
  marketplace: string | undefined;
  optional: boolean;
}

export interface ReadDependencies {
  dependencies: Dependency[];
  mcpServers: string[];
}

type Json = Record<string, unknown>;

const isObject = (v: unknown): v is Json => typeof v === 'object' && v !== null && !Array.isArray(v);

function invalid(where: string, what: string): HaiveError {
  return new HaiveError('MANIFEST_INVALID', `plugin.json: ${where} ${what}`, { details: { field: where } });
}

/** `name`, `name@^1.0.0` (a range), `name@market` (the client's form) or an object; undefined when it is none of these. */
export function readEntry(entry: unknown): WrittenDependency | undefined {
  if (typeof entry === 'string') {
    const at = entry.indexOf('@');
    if (at === -1) return entry === '' ? undefined : written(entry);
    const [name, rest] = [entry.slice(0, at), entry.slice(at + 1).trim()];
    if (name === '' || rest === '') return undefined;
    return looksLikeRange(rest) ? written(name, rest) : written(name, undefined, rest);
  }
  if (!isObject(entry) || typeof entry.name !== 'string' || entry.name === '') return undefined;
  const given = entry.version ?? entry.range;
  // the client passes over a version that is empty or no text
  const range = typeof given === 'string' && given !== '' ? given : undefined;
  const marketplace = typeof entry.marketplace === 'string' ? entry.marketplace : undefined;
  return { ...written(entry.name, range, marketplace), optional: entry.optional === true };
}

function written(name: string, range?: string, marketplace?: string): WrittenDependency {
  return { name, range, marketplace, optional: false };
}

const LISTS: readonly string[] = ['plugins', 'optional', 'mcp_servers'];

/** An entry of a map, as `{"name": "x", …}`. */
export interface MapEntry {
  key: string;
  entry: Json;
}

/**
 * Splits a block of dependencies: what it says as a map (`{"x": "^1.0.0"}`, `{"x": {"version": "^1.0.0"}}`), its lists, and keys that
 * mean nothing here.
 */
export function splitBlock(block: Json): { map: MapEntry[]; lists: Json; unknown: Json } {
  const map: MapEntry[] = [];
  const lists: Json = {};
  const unknown: Json = {};
  for (const [key, value] of Object.entries(block)) {
    if (LISTS.includes(key)) lists[key] = value;
    else if (typeof value === 'string') map.push({ key, entry: { name: key, version: value } });
    else if (isObject(value) && typeof (value.version ?? value.range) === 'string')
      map.push({ key, entry: { ...value, name: key } });
    else unknown[key] = value;
  }
  return { map, lists, unknown };
}

/** A marketplace is a word; a range starts with a digit, an operator or a star. */
export function looksLikeRange(text: string): boolean {
  return /^[\d^~<>=*v]/.test(text) && isRange(text);
}

/**
 * @throws HaiveError MANIFEST_INVALID, NAME_INVALID, NAME_RESERVED, VERSION_INVALID
 */
export function readDependencies(manifest: Json): ReadDependencies {
  const found = new Map<string, Dependency>();
  const mcpServers: string[] = [];
  const self = manifest.name;

  const addAll = (list: unknown, where: string, kind: DependencyKind) => {
    if (list === undefined) return;
    if (!Array.isArray(list)) throw invalid(where, 'must be a list');
    for (const entry of list) {
      const read = readEntry(entry);
      if (read === undefined) throw invalid(where, `holds an entry that names no plugin: ${shorten(entry)}`);
      // A plugin of another marketplace is the client's business: the collective can neither find nor order it.
      if (read.marketplace !== undefined && read.marketplace !== 'collective') continue;
      checkPluginName(read.name);
      if (read.range !== undefined) checkRange(read.range);
      // Claude Code loads a plugin that names itself: it has itself already.
      if (read.name === self) continue;
      const dependency: Dependency = {
        name: read.name,
        // Claude Code takes a star that is written so as a range, which no prerelease meets; none at all, as the mere name.
        range: isObject(entry) && read.range === '*' ? '>=0.0.0' : (read.range ?? '*'),
        kind: read.optional ? 'optional' : kind,
      };
      const before = found.get(read.name);
      const both = before === undefined ? dependency : joined(before, dependency);
      if (both === undefined) throw invalid(where, `names ${read.name} twice, in different ways`);
      found.set(read.name, both);
    }
  };
  const addServers = (list: unknown, where: string) => {
    if (list === undefined) return;
    if (!Array.isArray(list) || list.some((s) => typeof s !== 'string' || s === '' || s.length > 128)) {
      throw invalid(where, 'must be a list of names');
    }
    for (const server of list as string[]) if (!mcpServers.includes(server)) mcpServers.push(server);
  };
  const addObject = (block: Json, where: string) => {
    addAll(block.plugins, `${where}.plugins`, 'required');
    addAll(block.optional, `${where}.optional`, 'optional');
    addServers(block.mcp_servers, `${where}.mcp_servers`);
  };

  const native = manifest.dependencies;
  if (Array.isArray(native)) addAll(native, 'dependencies', 'required');
  else if (isObject(native)) addObject(native, 'dependencies');
  else if (native !== undefined) throw invalid('dependencies', 'must be a list or an object');

  const block = isObject(manifest.haivemind) ? manifest.haivemind : {};
  if (isObject(block.dependencies)) addObject(block.dependencies, 'haivemind.dependencies');
  else if (block.dependencies !== undefined) throw invalid('haivemind.dependencies', 'must be an object');
  addAll(block.optional_dependencies, 'haivemind.optional_dependencies', 'optional');
  return { dependencies: [...found.values()], mcpServers };
}

/** One dependency for two on the same plugin: both ranges hold. undefined where no range says so. */
function joined(a: Dependency, b: Dependency): Dependency | undefined {
  if (a.kind !== b.kind) return undefined;
  if (a.range === b.range || b.range === '*') return a;
  if (a.range === '*') return b;
  const range = `${a.range} ${b.range}`;
  return range.includes('|') || !isRange(range) ? undefined : { ...a, range };
}

function shorten(value: unknown): string {
  return String(JSON.stringify(value)).slice(0, 80);
}
