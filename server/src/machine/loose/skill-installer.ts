import { componentsOf, loadedTypes, skillFolder } from '../../domain/version/components.ts';
import { MANIFEST_PATH } from '../../domain/version/file-types.ts';
import { copyInstaller, type Unit } from './copies.ts';
import type { LooseContext } from './installer.ts';
import { frontMatterOf } from './layout-text.ts';
import { styleFiles } from './style-installer.ts';
import { themeFiles } from './theme-installer.ts';

/** A plugin's skills, each a whole folder, among the user's: `NAME` instead of `PLUGIN:NAME`. */
export const SkillInstaller = copyInstaller('skill', async ({ source }) => skillUnits(source));

/** A folder's name, as the client and every disk take it. */
const FOLDER_NAME = /^[\w-][\w.-]*$/;

async function skillUnits(source: LooseContext['source']): Promise<Unit[]> {
  const { plugin, manifest } = source;
  const paths = source.files.map(({ path }) => path);
  const units: Unit[] = [];
  for (const component of componentsOf(manifest, paths)) {
    const { kind, file, namesItself } = component;
    if (kind !== 'skill') continue;
    const said = namesItself ? frontMatterOf(await source.read(file)).name : undefined;
    const name = typeof said === 'string' && FOLDER_NAME.test(said) ? said : component.name || plugin;
    const folder = skillFolder(component);
    const inside = folder === '' ? besideRoot(source, paths) : paths.filter((path) => path.startsWith(folder));
    units.push({
      at: `skills/${name}`,
      files: new Map(inside.map((path) => [path, path.slice(folder.length)])),
      named: file,
    });
  }
  return units;
}

/** A skill in the plugin's root has the plugin's files beside it: all but what is copied elsewhere or makes it a plugin. */
function besideRoot({ manifest }: LooseContext['source'], paths: readonly string[]): string[] {
  const typeOf = loadedTypes(manifest, paths);
  const elsewhere = new Set([...styleFiles(manifest, paths).map(({ file }) => file), ...themeFiles(manifest, paths)]);
  const isOwn = (path: string): boolean => typeOf(path) === 'other' && path !== MANIFEST_PATH && !elsewhere.has(path);
  return paths.filter((path) => path === 'SKILL.md' || isOwn(path));
}
