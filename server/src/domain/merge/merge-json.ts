import { diff3Merge } from 'node-diff3';
import { isJsonObject, type JsonObject } from '../json/read.ts';

/** Three-way merge of JSON by its structure: two sides that changed one group of hooks in different places do not collide. */

/** Stands for "no such key or element". */
const NONE = Symbol('none');
type Side = unknown | typeof NONE;

class Collision extends Error {}

const textOf = (value: Side): string => (value === NONE ? '' : JSON.stringify(sorted(value)));
const same = (a: Side, b: Side): boolean => textOf(a) === textOf(b);

/** Keys in order, so that two values of one meaning have one text. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}

/**
 * The value of a JSON text that says nothing a parsed value cannot hold (a key twice, a number beyond precision); undefined
 * otherwise: merging such a text by its value would lose something.
 */
export function plainJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    const bare = text.replace(/("(?:[^"\\]|\\.)*")|\s+/g, '$1');
    return JSON.stringify(value) === bare ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Whether two JSON values say the same, the order of keys aside. */
export const sameJson = (a: unknown, b: unknown): boolean => same(a, b);

/**
 * What both sides made of `base`, or undefined where they collide: the same value changed to two others, or changed on one side and
 * gone on the user's new list. The disk's order of keys is kept.
 */
export function mergeJson(base: unknown, disk: unknown, next: unknown): unknown {
  try {
    return merge(base, disk, next);
  } catch (thrown) {
    if (thrown instanceof Collision) return undefined;
    throw thrown;
  }
}

function merge(base: Side, disk: Side, next: Side): Side {
  if (same(disk, next) || same(next, base)) return disk;
  if (same(disk, base)) return next;
  if (isJsonObject(disk) && isJsonObject(next)) return mergeObjects(isJsonObject(base) ? base : {}, disk, next);
  if (Array.isArray(disk) && Array.isArray(next)) return mergeLists(Array.isArray(base) ? base : [], disk, next);
  // The user took away what the new version changed: news wins over absence, as with files.
  if (disk === NONE) return next;
  throw new Collision();
}

const at = (object: JsonObject, key: string): Side => (Object.hasOwn(object, key) ? object[key] : NONE);

function mergeObjects(base: JsonObject, disk: JsonObject, next: JsonObject): JsonObject {
  const keys = new Set([...Object.keys(disk), ...Object.keys(next)]);
  const merged = [...keys].map((key) => [key, merge(at(base, key), at(disk, key), at(next, key))] as const);
  return Object.fromEntries(merged.filter(([, value]) => value !== NONE));
}

/** By place where that is clear, and otherwise, for lists of objects, by what names an element. */
function mergeLists(base: unknown[], disk: unknown[], next: unknown[]): unknown[] {
  const regions = diff3Merge(disk.map(textOf), base.map(textOf), next.map(textOf), { excludeFalseConflicts: true });
  if (regions.every((region) => region.ok !== undefined)) {
    const known = new Map([...base, ...next, ...disk].map((element) => [textOf(element), element]));
    return regions.flatMap((region) => (region.ok ?? []).map((text) => known.get(text)));
  }
  // The only element on each side is the same one, whatever was changed of it.
  if (base.length === 1 && disk.length === 1 && next.length === 1) return [merge(base[0], disk[0], next[0])];
  const [o, a, b] = [byName(base), byName(disk), byName(next)];
  const names = new Set([...a.keys(), ...b.keys()]);
  const side = (of: Map<string, unknown>, name: string): Side => (of.has(name) ? of.get(name) : NONE);
  return [...names].map((name) => merge(side(o, name), side(a, name), side(b, name))).filter((value) => value !== NONE);
}

/** What tells one element of a list from the others, in hooks and in what else plugins write. */
const NAMES = ['id', 'name', 'matcher', 'command', 'url', 'tool'];

function byName(list: readonly unknown[]): Map<string, unknown> {
  const named = new Map<string, unknown>();
  for (const element of list) {
    if (!isJsonObject(element)) throw new Collision();
    const key = NAMES.find((name) => typeof element[name] === 'string');
    // A group of hooks without a matcher is the one for everything.
    const name = key === undefined ? '' : `${key} ${String(element[key])}`;
    if (named.has(name)) throw new Collision();
    named.set(name, element);
  }
  return named;
}
