import { looksLikeRange, readEntry, splitBlock } from '../desired/dependencies.ts';
import { isJsonObject, type JsonObject } from '../json/read.ts';
import { isRange, loadsInClient } from '../names.ts';
import { plainName } from '../translate/identity.ts';
import { MANIFEST_PATH } from '../version/file-types.ts';
import { checkName } from './identity.ts';
import type { Subject } from './subject.ts';

const LIST = 'Write a list: [{"name": "x", "version": "^1.0.0"}].';
const MARKETPLACE = /^[A-Za-z0-9][\w.-]*$/;

/**
 * `dependencies` of plugin.json, entry by entry.
 * @returns what of it is left to look at for whoever reads the manifest
 */
export function checkDependencies(subject: Subject, dependencies: unknown): unknown {
  if (isJsonObject(dependencies)) {
    subject.error(
      'DEPENDENCIES_FORM',
      MANIFEST_PATH,
      { json: ['dependencies'] },
      'Claude Code refuses `dependencies` as an object.',
      LIST,
    );
    return checkBlock(subject, dependencies, ['dependencies']);
  }
  if (!Array.isArray(dependencies)) return dependencies;
  return dependencies.filter((entry, i) => checkEntry(subject, entry, ['dependencies', i]));
}

/** `haivemind.dependencies`, which keeps what the native list cannot say. @returns as `checkDependencies` */
export function checkKeptDependencies(subject: Subject, block: unknown): unknown {
  if (!isJsonObject(block)) return block;
  const path = ['haivemind', 'dependencies'];
  const names = splitBlock(block).map.map(({ key }) => key);
  if (names.length > 0) {
    const message = `Nothing enforces ${names.join(', ').slice(0, 80)} in haivemind.dependencies.`;
    subject.error('DEPENDENCIES_FORM', MANIFEST_PATH, { json: path }, message, `Move it to dependencies. ${LIST}`);
  }
  return checkBlock(subject, block, path);
}

/** Ranges and keys of dependencies written as an object. */
function checkBlock(subject: Subject, block: JsonObject, path: (string | number)[]): JsonObject {
  const { map, lists, unknown } = splitBlock(block);
  for (const key of Object.keys(unknown)) {
    const message = `hAIveMind does not know dependencies of the kind ${JSON.stringify(key.slice(0, 60))}; nothing looks for them.`;
    const fix = 'Remove it, or write a range of versions if it is a plugin.';
    subject.warn('UNKNOWN_FIELD', MANIFEST_PATH, { json: [...path, key] }, message, fix);
  }
  const good = map.filter(({ key, entry }) => checkEntry(subject, entry, [...path, key]));
  const { plugins, optional } = lists;
  const inRange = (list: unknown, name: string): unknown =>
    Array.isArray(list)
      ? list.filter((entry, i) => checkVersionOf(subject, readEntry(entry)?.range, [...path, name, i]))
      : list;
  return {
    ...Object.fromEntries(good.map(({ key, entry }) => [key, entry])),
    ...lists,
    ...(plugins === undefined ? {} : { plugins: inRange(plugins, 'plugins') }),
    ...(optional === undefined ? {} : { optional: inRange(optional, 'optional') }),
  };
}

/** @returns false where the entry cannot be read any further */
function checkEntry(subject: Subject, entry: unknown, path: (string | number)[]): boolean {
  const place = { json: path };
  const bad = (message: string, fix: string) => subject.error('DEPENDENCIES_FORM', MANIFEST_PATH, place, message, fix);
  const shown = JSON.stringify(entry ?? null).slice(0, 80);
  if (typeof entry === 'string' && /@[\^~<>=*\d]/.test(entry)) {
    bad(`${shown} names a marketplace after the @, not a range.`, 'Write {"name": "x", "version": "^1.0.0"}.');
    return looksLikeRange(entry.slice(entry.indexOf('@') + 1).trim());
  }
  const [name, marketplace] = namesIn(entry);
  if (typeof name !== 'string' || name === '') return true;
  if (name === subject.manifest.name) {
    subject.warn('DEPENDENCY_ON_ITSELF', MANIFEST_PATH, place, 'The plugin depends on itself.', 'Remove this entry.');
    return true;
  }
  if (marketplace !== undefined && !(typeof marketplace === 'string' && MARKETPLACE.test(marketplace))) {
    const message = `${JSON.stringify(marketplace).slice(0, 80)} is no name of a marketplace.`;
    bad(message, 'Correct it or leave it out.');
    return false;
  }
  if (!MARKETPLACE.test(name)) {
    bad(`${shown} names no plugin.`, 'Write the name of a plugin, or {"name": "x", "version": "^1.0.0"}.');
    return false;
  }
  if (isJsonObject(entry) && entry.optional === true) {
    bad(
      'Claude Code knows no optional dependencies and would require this one.',
      'Move it to haivemind.optional_dependencies.',
    );
  }
  const isOurs = marketplace === undefined || marketplace === 'collective';
  if (isOurs && loadsInClient(name) && !checkName(subject, name, place)) return false;
  if (isOurs && !loadsInClient(name) && plainName(name) === undefined) {
    // Claude Code refuses such a name in plugin.json, not here
    const message = `No plugin called ${JSON.stringify(name.slice(0, 80))} is in the registry: the name is reserved`;
    subject.registryRule('NAME_RESERVED', MANIFEST_PATH, place, message, 'Name its marketplace, or another plugin.');
    return false;
  }
  return !isJsonObject(entry) || checkVersionOf(subject, entry.version, [...path, 'version']);
}

function checkVersionOf(subject: Subject, version: unknown, path: (string | number)[]): boolean {
  if (version === undefined || version === '') return true;
  const place = { json: path };
  const shown = JSON.stringify(version).slice(0, 80);
  if (typeof version !== 'string') {
    const message = `${shown} is no text, so Claude Code takes any version.`;
    subject.warn('DEPENDENCIES_FORM', MANIFEST_PATH, place, message, 'Write a range in quotes: "^1.0.0".');
    return true;
  }
  if (isRange(version)) return true;
  const message = `No version can be in ${shown}, so Claude Code never loads the plugin.`;
  subject.error('DEPENDENCY_UNSATISFIABLE', MANIFEST_PATH, place, message, 'Write a range: "^1.0.0".');
  return false;
}

function namesIn(entry: unknown): [name: unknown, marketplace: unknown] {
  if (isJsonObject(entry)) return [entry.name, entry.marketplace];
  if (typeof entry !== 'string' || !entry.includes('@')) return [entry, undefined];
  const at = entry.indexOf('@');
  return [entry.slice(0, at), entry.slice(at + 1)];
}
