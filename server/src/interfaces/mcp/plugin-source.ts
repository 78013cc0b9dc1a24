import type { PluginSource } from '../../client/publish/index.ts';
import { HaiveError } from '../../domain/errors.ts';
import { pathFrom } from '../../machine/paths.ts';
import type { ToolInput } from './tools/index.ts';

/**
 * The one place that register_plugin was pointed at.
 * @param home what `~` in a path means
 * @throws HaiveError BAD_REQUEST when none or several were given, BODY_INVALID when the archive is not base64
 */
export function pluginSource(input: ToolInput<'register_plugin'>, home: string): PluginSource {
  const { plugin_path, plugin_archive, plugin_url } = input;
  const given = [plugin_path, plugin_archive, plugin_url].filter((value) => value !== undefined);
  if (given.length !== 1) {
    throw new HaiveError('BAD_REQUEST', `register_plugin takes one source, ${given.length} were given`, {
      hint: 'Give exactly one of plugin_path, plugin_archive, plugin_url.',
    });
  }
  if (plugin_path !== undefined) return { path: pathFrom(plugin_path, home, process.cwd()) };
  if (plugin_url !== undefined) return { url: plugin_url };
  return { archive: decodeBase64(plugin_archive ?? '') };
}

function decodeBase64(text: string): Buffer {
  const plain = text.replace(/\s+/g, '');
  // Buffer.from drops what it does not know; an archive that came damaged must not become another archive.
  if (plain === '' || !/^[A-Za-z0-9+/]+={0,2}$/.test(plain) || plain.length % 4 !== 0) {
    throw new HaiveError('BODY_INVALID', 'plugin_archive is not base64', { hint: 'Send a zip, base64 with padding.' });
  }
  return Buffer.from(plain, 'base64');
}
