import type { JsonObject } from '../../domain/json/read.ts';
import { belowPlaces } from '../../domain/version/components.ts';
import { copyInstaller } from './copies.ts';

const FOLDER = 'output-styles';

/** A plugin's output styles among the user's: `NAME` instead of `PLUGIN:NAME`. */
export const StyleInstaller = copyInstaller('style', async ({ source }) =>
  styleFiles(
    source.manifest,
    source.files.map(({ path }) => path),
  ).map(({ file, below }) => ({ at: `${FOLDER}/${below}`, files: new Map([[file, '']]), named: file })),
);

/** Output styles that the client loads: what plugin.json names takes the place of the folder. */
export function styleFiles(manifest: JsonObject, paths: readonly string[]): { file: string; below: string }[] {
  const belowOf = belowPlaces(manifest.outputStyles, FOLDER);
  return paths.flatMap((file) => {
    const below = file.endsWith('.md') ? belowOf(file) : undefined;
    return below === undefined ? [] : [{ file, below }];
  });
}
