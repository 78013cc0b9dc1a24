import { lstat, mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf, HaiveError } from '../domain/errors.ts';
import { fileError } from '../storage/file-error.ts';

/**
 * Makes the hub's data folder (0700) where it is missing.
 * @throws HaiveError PATH_OCCUPIED where no folder can lie there, READ_ONLY, DISK_FULL, IO_ERROR
 */
export async function makeDataFolder(path: string): Promise<void> {
  try {
    await makeFolders(path);
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOTDIR') throw occupied(`${path} cannot be made: something above it is not a folder`);
    const error = fileError(thrown, path);
    if (!(error instanceof HaiveError) || error.code !== 'READ_ONLY') throw error;
    throw new HaiveError(error.code, error.message, { hint: HINT, cause: thrown });
  }
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (isFolder) return;
  const link = (await lstat(path)).isSymbolicLink();
  throw occupied(`${path} is ${link ? 'a link that leads to no folder' : 'not a folder'}`);
}

/** One by one: where nothing can be made, as below /proc, Node's own recursive way may try for ever. */
async function makeFolders(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return;
    if (errnoOf(error) !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolders(dirname(path));
    await mkdir(path, { mode: 0o700 }).catch((cause: unknown) => {
      if (errnoOf(cause) !== 'ENOENT') throw cause;
      throw new HaiveError('READ_ONLY', `${path} cannot be made: the system takes no folder there`, { cause });
    });
  }
}

const HINT = 'Name another folder with --data-dir or HAIVEMIND_DATA_DIR.';

const occupied = (message: string): HaiveError => new HaiveError('PATH_OCCUPIED', message, { hint: HINT });
