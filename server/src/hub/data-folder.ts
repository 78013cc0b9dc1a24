import { lstat, stat } from 'node:fs/promises';
import { HaiveError } from '../domain/errors.ts';
import { errnoOf, fileError, makeDirs, realFilePort } from '../machine/file-port.ts';

/**
 * Makes the hub's data folder (0700) where it is missing.
 * @throws HaiveError PATH_OCCUPIED where no folder can lie there, READ_ONLY, DISK_FULL, IO_ERROR
 */
export async function makeDataFolder(path: string): Promise<void> {
  const port = realFilePort();
  try {
    await makeDirs({ ...port, mkdir: (folder) => port.mkdir(folder, { mode: 0o700 }) }, path);
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOTDIR') throw occupied(`${path} cannot be made: something above it is not a folder`);
    const error = fileError(thrown, path);
    if (!(error instanceof HaiveError) || error.code !== 'READ_ONLY') throw error;
    throw new HaiveError(error.code, error.message, { hint: HINT, cause: thrown });
  }
  if (
    await stat(path).then(
      (found) => found.isDirectory(),
      () => false,
    )
  )
    return;
  const link = (await lstat(path)).isSymbolicLink();
  throw occupied(`${path} is ${link ? 'a link that leads to no folder' : 'not a folder'}`);
}

const HINT = 'Name another folder with --data-dir or HAIVEMIND_DATA_DIR.';

const occupied = (message: string): HaiveError => new HaiveError('PATH_OCCUPIED', message, { hint: HINT });
