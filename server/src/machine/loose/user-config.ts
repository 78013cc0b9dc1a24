import { isJsonObject } from '../../domain/json/read.ts';
import type { LooseSource } from './installer.ts';
import { ROOT_VARIABLE } from './layout-text.ts';

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
