import { basename, dirname } from 'node:path';
import { classifier } from '../../domain/file-types.ts';
import { copyInstaller, type Unit } from './copies.ts';
import type { LooseContext } from './installer.ts';

/** A plugin's skills, each a whole folder, among the user's: `NAME` instead of `PLUGIN:NAME`. */
export const SkillInstaller = copyInstaller('skill', async ({ source }) => skillUnits(source));

function skillUnits({ plugin, files, manifest }: LooseContext['source']): Unit[] {
  const typeOf = classifier(manifest);
  const folders = files
    .filter(({ path }) => basename(path) === 'SKILL.md' && typeOf(path) === 'skill')
    .map(({ path }) => dirname(path))
    .sort();
  const outer = folders.filter(
    (folder) => !folders.some((other) => other !== folder && folder.startsWith(`${other}/`)),
  );
  return outer.map((folder) => {
    const inside = files.filter(({ path }) => path.startsWith(`${folder}/`));
    const name = folder === 'skills' || folder === '.' ? plugin : basename(folder);
    return {
      at: `skills/${name}`,
      files: new Map(inside.map(({ path }) => [path, path.slice(folder.length + 1)])),
      named: `${folder}/SKILL.md`,
    };
  });
}
