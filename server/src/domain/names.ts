import semverValid from 'semver/functions/valid.js';
import validRange from 'semver/ranges/valid.js';
import { HaiveError } from './errors.ts';

/** The plugin that carries everything else, the fixes of all others with it; on every machine by itself. */
export const CORE = 'haivemind-core';

const NAME = /^[a-z0-9][a-z0-9._-]*$/;
const GROUP = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const MAX_NAME = 64;
export const MAX_VERSION = 128;
const WINDOWS_DEVICE = /^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\.|$)/i;

/** What Claude Code keeps for itself in its plugins folder, and what is ours there. */
const KEPT_BY_CLIENT = new Set(['cache', 'data', 'marketplaces', 'store', 'repos', '.haivemind']);
/** The client refuses names that pass as one of its maker's, wherever dots, dashes and underscores stand in them. */
const MAKERS_WORDS = ['claude', 'anthropic', 'anthropics', 'ccplugin'].map((word) => [...word].join('[._-]*'));
const MAKERS_PREFIX = new RegExp(`^[._-]*(?:${MAKERS_WORDS.join('|')})[._-]`, 'i');
const MAKERS_NAMES =
  /^(?:claude|anthropics?|claudecode|claudemods)$|official(?:claude|anthropic)|(?:claude|anthropic)official/;
/** What a plugin may be called in a marketplace of the client; another one is passed over without a word. */
const CLIENT_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

function isMakersName(name: string): boolean {
  return MAKERS_PREFIX.test(name) || MAKERS_NAMES.test(name.toLowerCase().replace(/[._-]/g, ''));
}

/** Whether Claude Code loads a plugin of this name from a marketplace; the registry is stricter (`checkPluginName`). */
export function loadsInClient(name: string): boolean {
  return CLIENT_NAME.test(name) && !isMakersName(name);
}

/** True for CON, nul.txt and the like, which no file on Windows may be called. */
export function isWindowsDevice(segment: string): boolean {
  return WINDOWS_DEVICE.test(segment);
}

/**
 * A plugin's name: lower-case letters, digits, `.`, `_` and `-`, 64 characters at most; it is a folder's name too.
 * @throws HaiveError NAME_INVALID, NAME_RESERVED
 */
export function checkPluginName(name: string): void {
  const shown = JSON.stringify(String(name).slice(0, 80));
  if (typeof name === 'string' && KEPT_BY_CLIENT.has(name.toLowerCase())) {
    throw new HaiveError('NAME_RESERVED', `The name ${shown} is kept by Claude Code or hAIveMind`);
  }
  if (typeof name !== 'string' || name.length > MAX_NAME || !NAME.test(name)) {
    throw new HaiveError(
      'NAME_INVALID',
      `The plugin name ${shown} is not 1 to ${MAX_NAME} lower-case letters, digits and dashes`,
    );
  }
  if (name.includes('..') || name.endsWith('.')) {
    throw new HaiveError('NAME_INVALID', `The plugin name ${shown} has a dot where none may be`);
  }
  if (isWindowsDevice(name)) throw new HaiveError('NAME_RESERVED', `The name ${shown} is a device on Windows`);
  // Names are keys of objects, in our files and in the client's: `constructor` is on every one of them.
  if (name in Object.prototype)
    throw new HaiveError('NAME_RESERVED', `The name ${shown} means something in JavaScript`);
  if (name.endsWith('.json')) {
    throw new HaiveError('NAME_RESERVED', `The name ${shown} may be a file of Claude Code's own`);
  }
  if (isMakersName(name)) {
    throw new HaiveError('NAME_RESERVED', `Claude Code refuses ${shown}: it passes as one of its maker's own`);
  }
}

/** Whether a plugin may be called so (`checkPluginName`). */
export function isPluginName(name: string): boolean {
  try {
    checkPluginName(name);
    return true;
  } catch {
    return false;
  }
}

/** One key for names that a person takes for the same: without separators, `0` as `o`, `1` as `l`, `5` as `s`, `rn` as `m`, `vv` as `w`. */
export function lookOf(name: string): string {
  const letters = name.replace(/[._-]/g, '').replaceAll('0', 'o').replaceAll('1', 'l').replaceAll('5', 's');
  return letters.replaceAll('rn', 'm').replaceAll('vv', 'w');
}

/**
 * A version: strict semantic versioning, without a leading v and without build metadata (which orders nothing).
 * @throws HaiveError VERSION_INVALID
 */
export function checkVersion(version: string): void {
  if (typeof version === 'string' && version.length <= MAX_VERSION && semverValid(version) === version) return;
  const shown = JSON.stringify(String(version).slice(0, 80));
  throw new HaiveError('VERSION_INVALID', `${shown} is not a version such as 1.2.0 or 2.0.0-beta.1`);
}

/**
 * A semver range such as `^1.0.0`, `>=1 <3` or `*`.
 * @throws HaiveError VERSION_INVALID
 */
export function checkRange(range: string): void {
  if (isRange(range)) return;
  const shown = JSON.stringify(String(range).slice(0, 80));
  throw new HaiveError('VERSION_INVALID', `${shown} is not a version range such as ^1.2.0`);
}

/** True for a semver range that is written out (the empty string is none). */
export function isRange(range: unknown): range is string {
  return typeof range === 'string' && range.trim() !== '' && range.length <= 256 && validRange(range) !== null;
}

/**
 * The name of a machine group or of a capability: letters, digits, `.`, `_` and `-`, 64 characters at most.
 * @throws HaiveError NAME_INVALID
 */
export function checkGroupName(name: string): void {
  if (!isGroupName(name)) throw noGroup(name);
}

/**
 * The groups that a machine is to be in. Those it is in already it may keep, whatever they are called.
 * @throws HaiveError NAME_INVALID
 */
export function checkGroupsOfMachine(groups: readonly string[], before: readonly string[] = []): void {
  for (const group of groups) if (!before.includes(group)) checkGroupName(group);
}

/** A group's name in which `*` may stand for any part. @throws HaiveError NAME_INVALID */
export function checkGroupPattern(pattern: string): void {
  if (!isGroupPattern(pattern)) throw noGroup(pattern);
}

/** Whether it is a group's name in which `*` may stand for any part. */
export const isGroupPattern = (pattern: string): boolean => isGroupName(pattern.replaceAll('*', 'x'));

/** What people say for every machine; a group of that name would hold none of the others. */
export const EVERYBODY = 'all';

const isGroupName = (name: unknown): boolean =>
  typeof name === 'string' && name.length <= MAX_NAME && name !== EVERYBODY && GROUP.test(name);

function noGroup(name: string): HaiveError {
  if (name === EVERYBODY) {
    return new HaiveError('NAME_INVALID', `"${EVERYBODY}" means every machine, and is no name of a group`, {
      hint: 'Every machine is reached without naming groups: `hv publish NAME --all`.',
    });
  }
  const shown = JSON.stringify(String(name).slice(0, 80));
  return new HaiveError('NAME_INVALID', `${shown} is not a name of letters, digits, dots, dashes and underscores`, {
    hint: `Groups and capabilities have names such as web or db_2, of ${MAX_NAME} characters at most.`,
  });
}

/**
 * Patterns of plugin names as they are typed (`es-*,log-*`): names in which `*` may stand for any part.
 * @throws HaiveError NAME_INVALID for one that no plugin's name fits
 */
export function namePatterns(text: string): string[] {
  const patterns = text.split(',').map((pattern) => pattern.trim());
  for (const pattern of patterns) {
    if (pattern.length <= MAX_NAME && NAME.test(pattern.replaceAll('*', 'x'))) continue;
    throw new HaiveError('NAME_INVALID', `No plugin's name fits the pattern ${JSON.stringify(pattern)}`, {
      hint: 'Give names in small letters, digits, dots, dashes and underscores, `*` for any part: es-*,log-*.',
    });
  }
  return patterns;
}

/** Whether `name` fits `pattern`, where `*` stands for any run of characters. Linear, whatever the pattern. */
export function nameMatches(pattern: string, name: string): boolean {
  const parts = pattern.split('*');
  const first = parts[0] ?? '';
  if (parts.length === 1) return name === first;
  const last = parts[parts.length - 1] ?? '';
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false;
  let at = first.length;
  const end = name.length - last.length;
  for (const part of parts.slice(1, -1)) {
    const found = name.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

/** Whether some name fits both patterns. Takes the product of their lengths. */
export function patternsMeet(one: string, other: string): boolean {
  // Whether what is left of `one` from i meets what is left of `other` from each j, for one i after another from the end.
  let next: boolean[] = [];
  for (let i = one.length; i >= 0; i--) {
    const now: boolean[] = [];
    for (let j = other.length; j >= 0; j--) {
      const [a, b] = [one[i], other[j]];
      if (a === undefined && b === undefined) now[j] = true;
      else if (a === '*') now[j] = next[j] === true || now[j + 1] === true;
      else if (b === '*') now[j] = now[j + 1] === true || next[j] === true;
      else now[j] = a !== undefined && a === b && next[j + 1] === true;
    }
    next = now;
  }
  return next[0] === true;
}

export interface PluginRef {
  name: string;
  /** null when none was given, or `latest`: the highest published stable version, floating. */
  range: string | null;
  /** Set when the reference was an id. */
  id?: string;
}

/**
 * Reads `NAME`, `NAME@RANGE`, `NAME@latest` or the id `plugin_NAME_VERSION` (the version is what follows the last `_`).
 * @throws HaiveError NAME_INVALID, NAME_RESERVED, VERSION_INVALID
 */
export function parsePluginRef(ref: string): PluginRef {
  const id = parseId(ref);
  if (id !== undefined) return id;
  const at = ref.indexOf('@');
  const name = at === -1 ? ref : ref.slice(0, at);
  checkPluginName(name);
  if (at === -1) return { name, range: null };
  const range = ref.slice(at + 1).trim();
  if (range === 'latest') return { name, range: null };
  checkRange(range);
  return { name, range };
}

function parseId(ref: string): PluginRef | undefined {
  const cut = ref.lastIndexOf('_');
  if (!ref.startsWith('plugin_') || cut <= 'plugin_'.length) return undefined;
  const name = ref.slice('plugin_'.length, cut);
  const version = ref.slice(cut + 1);
  if (semverValid(version) !== version) return undefined;
  checkPluginName(name);
  return { name, range: version, id: ref };
}
