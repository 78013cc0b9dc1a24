import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf } from '../domain/errors.ts';

/** Whose a file is. */
export interface Owner {
  uid: number;
  gid: number;
}

/**
 * Opens a file to write; one that root makes in a person's folder becomes the person's, who could not read it otherwise. Only what this
 * very call made is given away, so that a link laid in its way gives away nothing.
 * @param options.owner whose it becomes; the owner of the folder by default
 */
export function openToWrite(
  path: string,
  flags: 'a' | 'w' | 'wx',
  options: { mode: number; owner?: Owner | undefined },
): number {
  if (!isRoot()) return fs.openSync(path, flags, options.mode);
  let file: number;
  try {
    file = fs.openSync(path, flags === 'a' ? 'ax' : 'wx', options.mode);
  } catch (error) {
    if (flags === 'wx' || errnoOf(error) !== 'EEXIST') throw error;
    return fs.openSync(path, flags, options.mode);
  }
  try {
    giveAway(file, options.owner ?? fs.statSync(dirname(path)));
    return file;
  } catch (error) {
    fs.closeSync(file);
    fs.unlinkSync(path);
    throw error;
  }
}

/** Makes a folder, whose as `openToWrite` says. */
export function makeFolder(path: string, options?: { mode?: number }): void {
  fs.mkdirSync(path, options);
  if (!isRoot()) return;
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
  const folder = fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    giveAway(folder, fs.statSync(dirname(path)));
  } catch (error) {
    fs.rmdirSync(path);
    throw error;
  } finally {
    fs.closeSync(folder);
  }
}

/** Whether what this process made at `path` would be root's in a person's folder. */
export function isOthersPlace(path: string): boolean {
  if (!isRoot()) return false;
  const there = fs.statSync(path, { throwIfNoEntry: false });
  return there === undefined && dirname(path) !== path ? isOthersPlace(dirname(path)) : there?.uid !== 0;
}

/** Windows has no such user. */
const isRoot = (): boolean => process.getuid?.() === 0;

/** Where a file system or a user namespace knows no such owner, what root makes stays as it is made. */
const NOT_GIVEN = ['EPERM', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

function giveAway(file: number, { uid, gid }: Owner): void {
  if (uid === 0) return;
  try {
    fs.fchownSync(file, uid, gid);
  } catch (error) {
    if (!NOT_GIVEN.includes(errnoOf(error) ?? '')) throw error;
  }
}
