import { isJsonObject, type JsonObject } from '../../domain/json/read.ts';
import { belowPlaces } from '../../domain/version/components.ts';
import { copyInstaller } from './copies.ts';

const FOLDER = 'themes';

/** A plugin's colour themes among the user's: `custom:NAME` instead of `custom:PLUGIN:NAME`. */
export const ThemeInstaller = copyInstaller('theme', async ({ source }) =>
  themeFiles(
    source.manifest,
    source.files.map(({ path }) => path),
  ).map((file) => ({ at: `${FOLDER}/${file.slice(file.lastIndexOf('/') + 1)}`, files: new Map([[file, '']]) })),
);

/** Themes that the client loads: right in the folder, or in those that plugin.json names instead. */
export function themeFiles(manifest: JsonObject, paths: readonly string[]): string[] {
  const tried = isJsonObject(manifest.experimental) ? manifest.experimental.themes : undefined;
  const belowOf = belowPlaces(tried ?? manifest.themes, FOLDER);
  return paths.filter((file) => file.endsWith('.json') && belowOf(file)?.includes('/') === false);
}
