/**
 * plugin.json as the rest of the program sees it: the native fields and the seed's `haivemind` block, parsed once.
 */

import { readDependencies } from '../desired/dependencies.ts';
import { HaiveError } from '../errors.ts';
import { parseJson } from '../json/parse.ts';
import { checkGroupName, checkPluginName, checkVersion } from '../names.ts';

const MAX_MANIFEST = 1024 * 1024;

export type DependencyKind = 'required' | 'optional';

export interface Dependency {
  name: string;
  /** semver range; `*` when the author gave none. */
  range: string;
  kind: DependencyKind;
}

export interface PluginManifest {
  name: string;
  version: string;
  description: string;
  author: { name: string; organization?: string; email?: string; url?: string };
  keywords: string[];
  /** Where the plugin MAY go; empty means anywhere. */
  machineGroups: string[];
  requiredCapabilities: string[];
  minHaivemindVersion?: string;
  /** Ask for bare `/command` names in the native layout. */
  globalCommands: boolean;
  useCases: string[];
  dependencies: Dependency[];
  /** Names of MCP servers that must exist on the machine (seed: dependencies.mcp_servers). */
  mcpServerDependencies: string[];
  /** plugin.json exactly as parsed. */
  raw: Record<string, unknown>;
}

type Json = Record<string, unknown>;

function invalid(field: string, what: string): HaiveError {
  return new HaiveError('MANIFEST_INVALID', `plugin.json: ${field} ${what}`, { details: { field } });
}

/** UTF-8 text without a byte order mark. */
export function decodeText(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: false }).decode(bytes);
}

/**
 * Reads plugin.json. Both the native form and the seed's (`dependencies` as an object, `haivemind`) are understood;
 * unknown keys stay in `raw`.
 * @throws HaiveError MANIFEST_INVALID, NAME_INVALID, NAME_RESERVED, VERSION_INVALID
 */
export function parseManifest(bytes: Uint8Array): PluginManifest {
  if (bytes.length > MAX_MANIFEST) throw invalid('the file', `is larger than ${MAX_MANIFEST / 1024} KB`);
  let raw: unknown;
  try {
    raw = parseJson(decodeText(bytes));
  } catch (cause) {
    throw new HaiveError('MANIFEST_INVALID', `plugin.json is not JSON: ${shortMessage(cause)}`, { cause });
  }
  if (!isObject(raw)) throw invalid('the file', 'must hold an object');
  const name = required(raw, 'name');
  checkPluginName(name);
  const version = required(raw, 'version');
  checkVersion(version);
  const block = raw.haivemind ?? {};
  if (!isObject(block)) throw invalid('haivemind', 'must be an object');
  const { dependencies, mcpServers } = readDependencies(raw);
  const minimum = text(block, 'min_haivemind_version', 'haivemind.');
  if (minimum !== undefined) checkVersion(minimum);
  return {
    name,
    version,
    description: text(raw, 'description') ?? '',
    author: readAuthor(raw.author),
    keywords: texts(raw, 'keywords'),
    machineGroups: names(block, 'machine_groups'),
    requiredCapabilities: names(block, 'required_capabilities'),
    ...(minimum === undefined ? {} : { minHaivemindVersion: minimum }),
    globalCommands: flag(block, 'global_commands'),
    useCases: texts(block, 'use_cases', 'haivemind.'),
    dependencies,
    mcpServerDependencies: mcpServers,
    raw,
  };
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shortMessage(cause: unknown): string {
  return cause instanceof Error ? cause.message.slice(0, 120) : 'unreadable';
}

function required(from: Json, key: string): string {
  const value = text(from, key);
  if (value === undefined || value === '') throw invalid(key, 'is missing');
  return value;
}

function text(from: Json, key: string, prefix = ''): string | undefined {
  const value = from[key];
  if (value !== undefined && typeof value !== 'string') throw invalid(`${prefix}${key}`, 'must be text');
  return value;
}

function texts(from: Json, key: string, prefix = ''): string[] {
  const value = from[key];
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.some((v) => typeof v !== 'string')) {
    throw invalid(`${prefix}${key}`, 'must be a list of text');
  }
  return [...new Set(value as string[])];
}

function names(block: Json, key: string): string[] {
  const list = texts(block, key, 'haivemind.');
  for (const name of list) checkGroupName(name);
  return list;
}

function flag(block: Json, key: string): boolean {
  const value = block[key];
  if (value !== undefined && typeof value !== 'boolean') throw invalid(`haivemind.${key}`, 'must be true or false');
  return value === true;
}

function readAuthor(author: unknown): PluginManifest['author'] {
  if (author === undefined) return { name: '' };
  if (!isObject(author)) throw invalid('author', 'must be an object with a name');
  const read: PluginManifest['author'] = { name: text(author, 'name', 'author.') ?? '' };
  for (const key of ['email', 'url'] as const) {
    const value = text(author, key, 'author.');
    if (value !== undefined) read[key] = value;
  }
  // no field of the client's: it may hold anything
  if (typeof author.organization === 'string') read.organization = author.organization;
  return read;
}
