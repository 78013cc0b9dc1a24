import { mkdir, mkdtemp, readdir, readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { git } from './git.ts';

/**
 * The commit that a folder is at; null where it is in no repository, or holds changes that no commit has. Its `.git` may be
 * somebody else's and name programs: git never opens it, and is given only its objects, from a repository of our own in `work`.
 */
export async function commitOf(folder: string, work: string): Promise<string | null> {
  try {
    const from = await realpath(folder);
    for (let top = from; ; top = dirname(top)) {
      const kept = await keptAt(top);
      if (kept !== null) return await ifUnchanged(kept, top, from, work);
      if (dirname(top) === top) return null;
    }
  } catch {
    return null;
  }
}

interface Kept {
  objects: string;
  commit: string;
}

async function ifUnchanged({ objects, commit }: Kept, top: string, folder: string, work: string) {
  const own = await mkdtemp(join(work, 'look-'));
  const inOwn = (...args: string[]): Promise<string> =>
    git(['-C', folder, '--git-dir', join(own, '.git'), '--work-tree', top, ...args], folder);
  await git(['init', '--quiet', '--template=', own], folder);
  await mkdir(join(own, '.git', 'objects', 'info'), { recursive: true });
  await writeFile(join(own, '.git', 'objects', 'info', 'alternates'), `${objects}\n`);
  await inOwn('update-ref', 'HEAD', commit);
  await inOwn('read-tree', commit);
  // For a submodule git would start another git there, which reads the configuration of that one.
  const look = ['--untracked-files=normal', '--ignore-submodules=all'];
  if ((await inOwn('status', '--porcelain', ...look, '--', '.')) !== '') return null;
  for (const line of (await inOwn('ls-files', '--stage', '-z', '--', '.')).split('\0')) {
    const [, wanted, path] = /^160000 ([0-9a-f]+) \d\t(.*)$/s.exec(line) ?? [];
    if (wanted === undefined || path === undefined) continue;
    const inside = join(folder, path);
    const isCheckedOut = (await readdir(inside)).length > 0;
    if (isCheckedOut && (await commitAt(inside, work)) !== wanted) return null;
  }
  return commit;
}

/** The commit of what is itself a repository. */
async function commitAt(top: string, work: string): Promise<string | null> {
  const kept = await keptAt(top);
  return kept === null ? null : ifUnchanged(kept, top, top, work);
}

/** What `top` is checked out from; null where it has no `.git`. Throws where there is no commit, or its refs are kept in no files. */
async function keptAt(top: string): Promise<Kept | null> {
  const dotGit = join(top, '.git');
  const info = await stat(dotGit).catch(() => null);
  if (info === null) return null;
  const named = info.isDirectory() ? '.' : /^gitdir: (.*)/.exec(await readSmall(dotGit))?.[1];
  if (named === undefined) return null;
  const gitDir = info.isDirectory() ? dotGit : resolve(top, named);
  const common = resolve(gitDir, (await readSmall(join(gitDir, 'commondir')).catch(() => '.')).trim());
  const head = (await readSmall(join(gitDir, 'HEAD'))).trim();
  const ref = /^ref: (refs\/.+)$/.exec(head)?.[1];
  const commit = ref === undefined ? head : await refOf(common, ref);
  if (!/^[0-9a-f]{40}$/.test(commit)) throw new Error(`${top} is at no commit`);
  return { objects: join(common, 'objects'), commit };
}

async function refOf(common: string, ref: string): Promise<string> {
  const loose = await readSmall(join(common, ...ref.split('/'))).catch(() => null);
  if (loose !== null) return loose.trim();
  const packed = (await readSmall(join(common, 'packed-refs'))).split('\n');
  return packed.find((line) => line.slice(41) === ref)?.slice(0, 40) ?? '';
}

/** Waits on no pipe that somebody put in the place of a file. */
async function readSmall(path: string): Promise<string> {
  if (!(await stat(path)).isFile()) throw new Error(`${path} is no file`);
  return readFile(path, 'utf8');
}
