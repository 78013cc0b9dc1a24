import { basename } from 'node:path';
import { classifier, namedPaths, plainPath } from '../../domain/file-types.ts';
import { isJsonObject } from '../../domain/read-json.ts';
import { copyInstaller, type Unit } from './copies.ts';
import type { LooseContext } from './installer.ts';

/** A plugin's commands among the user's: `/COMMAND` instead of `/PLUGIN:COMMAND`. */
export const CommandInstaller = copyInstaller('command', async ({ source }) => markdownUnits(source, 'command'));

/** Files of one kind, at their place below `commands` or `agents`; further folders of the manifest are laid over each other. */
export function markdownUnits(source: LooseContext['source'], kind: 'command' | 'agent'): Unit[] {
  const folder = `${kind}s`;
  const typeOf = classifier(source.manifest);
  const declared = source.manifest[folder];
  const named = namedPaths(declared).sort((a, b) => b.length - a.length);
  const titles = new Map<string, string>();
  if (isJsonObject(declared)) {
    for (const [title, entry] of Object.entries(declared)) {
      if (isJsonObject(entry) && typeof entry.source === 'string') titles.set(plainPath(entry.source), title);
    }
  }
  const units: Unit[] = [];
  for (const { path } of source.files) {
    if (typeOf(path) !== kind) continue;
    const title = titles.get(path);
    const root = named.find((place) => path === place || path.startsWith(`${place}/`));
    let below = path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : basename(path);
    if (title !== undefined) below = `${title}.md`;
    else if (root !== undefined && root !== path && root !== folder) below = path.slice(root.length + 1);
    units.push({
      at: `${folder}/${below}`,
      files: new Map([[path, '']]),
      ...(kind === 'agent' ? { named: path } : {}),
    });
  }
  return units;
}
