import { HaiveError } from '../../domain/errors.ts';
import { isJsonObject } from '../../domain/read-json.ts';
import type { LooseSource } from './installer.ts';
import { ROOT_VARIABLE, textOf } from './layout-text.ts';

/** What the native layout gives a plugin and this one cannot. */

const DATA_VARIABLE = '$' + '{CLAUDE_PLUGIN_DATA';
const COMPONENT = /(\.md|\.json)$/i;

/**
 * Refuses a plugin that asks the user for values it cannot do without (`userConfig`, unless an option says `required: false`
 * or has a default) or for a data folder.
 * @throws HaiveError LAYOUT_UNSUPPORTED
 */
export async function checkSupported(source: LooseSource): Promise<void> {
  const refuse = (why: string): never => {
    throw new HaiveError('LAYOUT_UNSUPPORTED', `${source.plugin} ${why}, which the loose layout lacks`, {
      details: { name: source.plugin },
    });
  };
  const options = isJsonObject(source.manifest.userConfig) ? source.manifest.userConfig : {};
  for (const [key, option] of Object.entries(options)) {
    const optional = isJsonObject(option) && (option.required === false || option.default !== undefined);
    if (!optional) refuse(`asks for userConfig ${key}`);
  }
  for (const { path } of source.files) {
    if (!COMPONENT.test(path)) continue;
    const text = textOf((await source.read(path)) ?? Buffer.alloc(0));
    if (text?.includes(DATA_VARIABLE)) refuse(`uses CLAUDE_PLUGIN_DATA in ${path}`);
  }
}

/** A string of a configuration as it must stand outside a plugin: the folder written out, options at their defaults. */
export function settledText(text: string, source: LooseSource): string {
  const options = isJsonObject(source.manifest.userConfig) ? source.manifest.userConfig : {};
  return text
    .replaceAll(ROOT_VARIABLE, () => source.root)
    .replace(/\$\{user_config\.([A-Za-z0-9_-]+)\}/g, (_, key: string) => {
      const option = options[key];
      return isJsonObject(option) && option.default !== undefined ? String(option.default) : '';
    });
}
