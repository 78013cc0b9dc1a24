// A whole folder as data, to say that nothing in it changed.
import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** Path → what lies there: `dir MODE`, `link TARGET` or `file MODE SHA256`. Paths that `skip` names are left out whole. */
export async function treeSnapshot(
  root: string,
  skip: (path: string) => boolean = () => false,
): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const walk = async (folder: string): Promise<void> => {
    for (const name of (await readdir(join(root, folder))).sort()) {
      const path = folder === '' ? name : `${folder}/${name}`;
      if (skip(path)) continue;
      const at = join(root, path);
      const stat = await lstat(at);
      const mode = (stat.mode & 0o777).toString(8);
      if (stat.isSymbolicLink()) found[path] = `link ${await readlink(at)}`;
      else if (stat.isDirectory()) {
        found[path] = `dir ${mode}`;
        await walk(path);
      } else {
        found[path] = `file ${mode} ${createHash('sha256')
          .update(await readFile(at))
          .digest('hex')}`;
      }
    }
  };
  await walk('');
  return found;
}
