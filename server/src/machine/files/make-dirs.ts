import { readlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf, HaiveError } from '../../domain/errors.ts';
import { type FilePort, lookAt, statOf } from './file-port.ts';

/**
 * Makes a folder and those above it, one by one.
 * @returns the folders that were made, outermost first
 * @throws HaiveError READ_ONLY where nobody can make one, PATH_OCCUPIED where a link leads nowhere, and what the port says
 */
export async function makeDirs(port: FilePort, path: string): Promise<string[]> {
  try {
    return await makeDir(port, path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || dirname(path) === path) throw error;
  }
  const above = await makeDirs(port, dirname(path));
  try {
    return [...above, ...(await makeDir(port, path))];
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    // Where the system alone makes folders (/proc) it says for ever that the one above is missing.
    throw new HaiveError('READ_ONLY', `${path} cannot be made: the system takes no folder there`, { cause: error });
  }
}

/** Makes one folder in one that is there; ENOENT where that is missing. @returns the folder, if it was made */
export async function makeDir(port: FilePort, path: string): Promise<string[]> {
  try {
    if (statOf(path)?.isDirectory()) return [];
    await port.mkdir(path);
    return [path];
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    checkLink(path);
    return [];
  }
}

/** @throws HaiveError PATH_OCCUPIED where a link leads to what is not there */
export function checkLink(path: string): void {
  if (lookAt(path)?.isSymbolicLink() && statOf(path) === null) throw leadsNowhere(path, readlinkSync(path));
}

/** What would be written through a link has no place. */
export function leadsNowhere(link: string, folder: string): HaiveError {
  return new HaiveError('PATH_OCCUPIED', `${link} is a link, and the folder that it leads to is not there: ${folder}`, {
    details: { path: link, folder },
    hint: 'Make that folder (clone or mount what it belongs to), or take the link away, then run the same again.',
  });
}
