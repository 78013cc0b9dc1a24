import { componentsOf } from '../../domain/version/components.ts';
import { copyInstaller, type Unit } from './copies.ts';
import type { LooseContext } from './installer.ts';

/** A plugin's commands among the user's: `/COMMAND` instead of `/PLUGIN:COMMAND`. */
export const CommandInstaller = copyInstaller('command', async ({ source }) => markdownUnits(source, 'command'));

/** Files of one kind, at the place below `commands` or `agents` that gives them their name. */
export function markdownUnits({ manifest, files }: LooseContext['source'], kind: 'command' | 'agent'): Unit[] {
  const paths = files.map(({ path }) => path);
  return componentsOf(manifest, paths).flatMap(({ kind: its, file, name }) => {
    if (its !== kind) return [];
    const at = `${kind}s/${name}${/\.md$/i.test(name) ? '' : '.md'}`;
    return [{ at, files: new Map([[file, '']]), ...(kind === 'agent' ? { named: file } : {}) }];
  });
}
