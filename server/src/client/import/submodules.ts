import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { git } from './git.ts';

/** Folders of a repository that are submodules and were not checked out, relative to it, with `/`. */
export async function lackingSubmodules(root: string): Promise<string[]> {
  const list = join(root, '.gitmodules');
  const isThere = await stat(list).then(
    (info) => info.isFile(),
    () => false,
  );
  if (!isThere) return [];
  const paths = await git(['config', '--file', list, '--null', '--get-regexp', '^submodule\\..*\\.path$'], list).then(
    (text) => text.split('\0').map((line) => line.slice(line.indexOf('\n') + 1).replace(/\/+$/, '')),
    () => [],
  );
  const lacking: string[] = [];
  for (const path of paths.filter((p) => p !== '')) {
    // Git makes the folder in any case; one that is not there belongs to an entry of the list that somebody forgot.
    const files = await readdir(join(root, ...path.split('/'))).catch(() => null);
    if (files?.length === 0) lacking.push(path);
  }
  return lacking;
}
