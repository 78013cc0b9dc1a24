import { join } from 'node:path';
import { hashOnDisk } from '../files/content-file.ts';
import type { LooseFile } from '../receipts/index.ts';
import { baseName, type Unit } from './copies.ts';
import type { LooseContext } from './installer.ts';
import { looseHash, renameIn } from './layout-text.ts';
import { suffixed } from './names.ts';

/**
 * Copies of a plugin whose receipts were lost as an earlier program made them: with front matter that is left out today, and of files
 * that plugin.json puts aside. Only what still is exactly that.
 * @param files the copies as they would be made today
 * @returns null where nothing is otherwise than today
 */
export async function asLaidEarlier(context: LooseContext, files: readonly LooseFile[]): Promise<LooseFile[] | null> {
  const all: LooseFile[] = [];
  for (const file of files) all.push((await withoutItsCuts(context, file)) ?? file);
  const paths = new Set(files.map((file) => file.path));
  for (const unit of unitsEarlier(context.source.files.map((file) => file.path))) {
    all.push(...(await copiesOf(context, unit)).filter((file) => !paths.has(file.path)));
  }
  const isOther = all.length > files.length || all.some((file, at) => file !== files[at]);
  return isOther ? all : null;
}

async function withoutItsCuts(context: LooseContext, { cuts, ...file }: LooseFile): Promise<LooseFile | null> {
  return cuts === undefined || cuts.length === 0 ? null : asOnDisk(context, file);
}

/** The file with the hash of what lies there, where that is what was published; null where it is not. */
async function asOnDisk({ machine, source }: LooseContext, file: Omit<LooseFile, 'sha256'>): Promise<LooseFile | null> {
  const bytes = await source.read(file.from);
  const sha256 = await hashOnDisk(join(machine.paths.claudeDir, file.path));
  return bytes !== null && sha256 === looseHash(bytes, source.root, file) ? { ...file, sha256 } : null;
}

type EarlierUnit = Unit & { kind: LooseFile['kind'] };

/** The default folders, whatever plugin.json says; of nested folders with a SKILL.md the outermost. */
function unitsEarlier(paths: readonly string[]): EarlierUnit[] {
  const texts = paths.flatMap((path): EarlierUnit[] => {
    const kind = /^(command|agent)s\/.*\.md$/.exec(path)?.[1] as 'command' | 'agent' | undefined;
    if (kind === undefined) return [];
    return [{ kind, at: path, files: new Map([[path, '']]), ...(kind === 'agent' ? { named: path } : {}) }];
  });
  const folders = paths.flatMap((path) => /^(skills\/.+\/)SKILL\.md$/.exec(path)?.[1] ?? []);
  const outer = folders.filter((folder) => !folders.some((other) => other !== folder && folder.startsWith(other)));
  const skills = outer.map((folder): EarlierUnit => {
    const inside = paths.filter((path) => path.startsWith(folder));
    const files = new Map(inside.map((path) => [path, path.slice(folder.length)]));
    return { kind: 'skill', at: `skills/${folder.split('/').at(-2)}`, files, named: `${folder}SKILL.md` };
  });
  return [...texts, ...skills];
}

/** What of a unit lies at its place, or at the one that it gets where that is taken. */
async function copiesOf(context: LooseContext, { kind, at: wanted, files, named }: EarlierUnit): Promise<LooseFile[]> {
  const { source } = context;
  for (const at of [wanted, suffixed(wanted, source.plugin)]) {
    const found: LooseFile[] = [];
    for (const [from, below] of files) {
      const bytes = at !== wanted && from === named ? await source.read(from) : null;
      const renamed = bytes === null ? undefined : renameIn(bytes, baseName(at));
      const executable = source.files.find((file) => file.path === from)?.executable === true;
      const path = below === '' ? at : `${at}/${below}`;
      const file = await asOnDisk(context, { kind, from, path, executable, ...(renamed && { renamed }) });
      if (file !== null) found.push(file);
    }
    if (found.length > 0) return found;
  }
  return [];
}
