import { HaiveError } from '../../domain/errors.ts';
import { isJsonObject } from '../../domain/json/read.ts';
import { CORE } from '../../domain/names.ts';
import { foldPath } from '../../domain/safe-path.ts';
import { isCode } from '../../domain/surface/parts.ts';
import { PROGRAM_FILES, PROGRAM_KEYS, workflowScripts } from '../../domain/surface/program-places.ts';
import { componentsOf } from '../../domain/version/components.ts';
import { namedPaths } from '../../domain/version/file-types.ts';
import type { LooseSource } from './installer.ts';
import { frontMatterOf, ROOT_VARIABLE } from './layout-text.ts';
import { cutsOf } from './plugin-keys.ts';
import { styleFiles } from './style-installer.ts';

/** What the native layout gives a plugin and this one cannot. */

const DATA = 'CLAUDE_PLUGIN_DATA';
/** In a text the client writes it out; everything else reads it from the environment. */
const DATA_IN_TEXT = '$' + '{CLAUDE_PLUGIN_DATA';
/** With something else to take where it is not set. */
const WITH_FALLBACK = new RegExp(`${DATA}(:?[-+=]|["'\`]?[\\])]?\\s*(\\?\\?|\\|\\|)|["'\`]\\s*,)`, 'g');

/** @throws HaiveError LAYOUT_UNSUPPORTED */
export function refuse(plugin: string, why: string): never {
  throw new HaiveError('LAYOUT_UNSUPPORTED', `${plugin} ${why}, which the loose layout lacks`, {
    details: { name: plugin },
  });
}

/**
 * Refuses a plugin that asks the user for values it cannot do without (`userConfig`, unless an option says `required: false`
 * or has a default), that has a data folder, or that brings what only a plugin can bring.
 * @throws HaiveError LAYOUT_UNSUPPORTED
 */
export async function checkSupported(given: LooseSource): Promise<void> {
  const source = { ...given, read: readOnce(given) };
  const { plugin, manifest } = source;
  const options = isJsonObject(manifest.userConfig) ? manifest.userConfig : {};
  for (const [key, option] of Object.entries(options)) {
    const optional = isJsonObject(option) && (option.required === false || option.default !== undefined);
    if (!optional) refuse(plugin, `asks for userConfig ${key}`);
  }
  checkParts(source);
  await checkPrograms(source);
  await checkTexts(source);
  // The core reads the folder where there is one, and does without.
  if (plugin === CORE) return;
  for (const { path, executable } of source.files) {
    if (!/\.(md|json)$/i.test(path) && !isCode(path, executable)) continue;
    const bytes = await source.read(path);
    if (bytes?.includes(DATA) !== true) continue;
    const text = bytes.toString('latin1');
    if (/\.md$/i.test(path) ? text.includes(DATA_IN_TEXT) : text.replace(WITH_FALLBACK, '').includes(DATA))
      refuse(plugin, `uses ${DATA} in ${path}`);
  }
}

/** Several checks ask for the same files. */
function readOnce({ read }: LooseSource): LooseSource['read'] {
  const kept = new Map<string, Promise<Buffer | null>>();
  return (path) => {
    const bytes = kept.get(path) ?? read(path);
    kept.set(path, bytes);
    return bytes;
  };
}

/** The client takes these from plugins, and we have no place for them among the user's own. */
function checkParts({ plugin, manifest, files }: LooseSource): void {
  const experimental = isJsonObject(manifest.experimental) ? manifest.experimental : {};
  for (const key of PROGRAM_KEYS) {
    if (manifest[key] !== undefined || experimental[key] !== undefined) refuse(plugin, `brings ${key} in plugin.json`);
  }
  const isWorkflow = workflowScripts(manifest);
  const file = files.find(({ path }) => PROGRAM_FILES.includes(foldPath(path)) || isWorkflow(path));
  if (file !== undefined) refuse(plugin, `brings ${file.path}`);
  const commands = isJsonObject(manifest.commands) ? Object.entries(manifest.commands) : [];
  for (const [name, entry] of commands) {
    const isPlain = isJsonObject(entry) && Object.keys(entry).every((key) => key === 'source' || key === 'description');
    if (!isPlain) refuse(plugin, `says more of its command ${name} in plugin.json than its file`);
  }
  const servers = isJsonObject(manifest.mcpServers) ? [] : namedPaths(manifest.mcpServers);
  const bundle = servers.find((path) => !/\.json$/i.test(path));
  if (bundle !== undefined) refuse(plugin, `brings the server bundle ${bundle}`);
}

/** Programs of `bin/`, which a plugin's are found by their bare names: fine where they are only called by their path. */
async function checkPrograms({ plugin, files, read }: LooseSource): Promise<void> {
  const programs = files.flatMap(({ path, executable }) => {
    const name = /^bin\/([^/]+)$/i.exec(path)?.[1];
    if (name === undefined || !executable) return [];
    const called = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    return [{ path, bare: new RegExp(`(^[ \\t]*|[\`(;|&][ \\t]*|\\$ )${called}(?![\\w./-])`, 'm') }];
  });
  if (programs.length === 0) return;
  const byPath = new Set<string>();
  for (const other of files) {
    const text = (await read(other.path))?.toString('latin1') ?? '';
    for (const { path, bare } of programs) {
      if (other.path === path) continue;
      if (text.includes(path)) byPath.add(path);
      if (/\.md$/i.test(other.path) && bare.test(text))
        refuse(plugin, `calls ${path} by its bare name in ${other.path}`);
    }
  }
  const bareOnly = programs.find(({ path }) => !byPath.has(path));
  if (bareOnly !== undefined) refuse(plugin, `brings the program ${bareOnly.path}`);
}

/** Hooks of a skill run with the plugin's folder in their environment, styles may switch themselves on. */
async function checkTexts(source: LooseSource): Promise<void> {
  const { plugin, manifest } = source;
  const paths = source.files.map(({ path }) => path);
  for (const { kind, file } of componentsOf(manifest, paths)) {
    if (kind !== 'skill') {
      const bytes = await source.read(file);
      if (bytes !== null && cutsOf(kind, bytes) === null)
        refuse(plugin, `needs the client to ignore front matter of ${file}`);
      continue;
    }
    const hooks = JSON.stringify(frontMatterOf(await source.read(file)).hooks ?? '').replaceAll(ROOT_VARIABLE, '');
    const reads = hooks !== '""' && (source.wantsRoot || hooks.includes('CLAUDE_PLUGIN_ROOT'));
    if (reads) refuse(plugin, `gives hooks of ${file} CLAUDE_PLUGIN_ROOT`);
  }
  for (const { file } of styleFiles(manifest, paths)) {
    const force = frontMatterOf(await source.read(file))['force-for-plugin'];
    if (force === true || force === 'true') refuse(plugin, `switches on its output style ${file}`);
  }
}
