import { componentsOf } from '../../domain/components.ts';
import { CORE } from '../../domain/desired-state.ts';
import { HaiveError } from '../../domain/errors.ts';
import { namedPaths } from '../../domain/file-types.ts';
import { isJsonObject } from '../../domain/read-json.ts';
import type { LooseSource } from './installer.ts';
import { frontMatterOf, ROOT_VARIABLE } from './layout-text.ts';
import { cutsOf } from './plugin-keys.ts';
import { styleFiles } from './style-installer.ts';

/** What the native layout gives a plugin and this one cannot. */

/** The client takes these from plugins, and we have no place for them among the user's own. */
const KEYS = ['lspServers', 'monitors', 'channels', 'workflows', 'settings', 'binaries'];
const FILES = /^(\.lsp\.json|settings\.json|monitors\/monitors\.json|workflows\/.*)$/i;

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
export async function checkSupported(source: LooseSource): Promise<void> {
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
  for (const { path } of source.files) {
    const bytes = await source.read(path);
    if (bytes?.includes(DATA) !== true) continue;
    const text = bytes.toString('latin1');
    if (/\.md$/i.test(path) ? text.includes(DATA_IN_TEXT) : text.replace(WITH_FALLBACK, '').includes(DATA))
      refuse(plugin, `uses ${DATA} in ${path}`);
  }
}

function checkParts({ plugin, manifest, files }: LooseSource): void {
  const experimental = isJsonObject(manifest.experimental) ? manifest.experimental : {};
  for (const key of KEYS) {
    if (manifest[key] !== undefined || experimental[key] !== undefined) refuse(plugin, `brings ${key} in plugin.json`);
  }
  const file = files.find(({ path }) => FILES.test(path));
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
  for (const { path, executable } of files) {
    const name = /^bin\/([^/]+)$/i.exec(path)?.[1];
    if (name === undefined || !executable) continue;
    const called = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    const bare = new RegExp(`(^[ \\t]*|[\`(;|&][ \\t]*|\\$ )${called}(?![\\w./-])`, 'm');
    let byPath = false;
    for (const other of files) {
      if (other.path === path) continue;
      const text = (await read(other.path))?.toString('latin1') ?? '';
      byPath ||= text.includes(path);
      if (/\.md$/i.test(other.path) && bare.test(text))
        refuse(plugin, `calls ${path} by its bare name in ${other.path}`);
    }
    if (!byPath) refuse(plugin, `brings the program ${path}`);
  }
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
