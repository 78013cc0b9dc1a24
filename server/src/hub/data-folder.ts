import { lstat, mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf, HaiveError } from '../domain/errors.ts';
import { fileError } from '../storage/file-error.ts';
import { holdAlone } from '../storage/sqlite.ts';

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

/**
 * Takes the data folder for this hub alone, and makes it where it is missing. What only reads or administers (`hv hub backup`, `hv hub token`) asks for no leave.
 * @returns what lets go of it
 * @throws HaiveError DATA_DIR_IN_USE, NATIVE_MODULE, DATABASE_UNAVAILABLE, and those of makeDataFolder
 */
export async function holdDataFolder(path: string): Promise<() => void> {
  await makeDataFolder(path);
  const letGo = await holdAlone(join(path, 'hub.lock'));
  if (letGo === null) throw new HaiveError('DATA_DIR_IN_USE', `Another hub runs on ${path}`);
  return letGo;
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
