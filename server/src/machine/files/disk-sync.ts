import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { errnoOf, HaiveError } from '../../domain/errors.ts';

/** Waiting until files and folders are on the disk, where a loss of power leaves them. */

/** Beyond this many paths one sync of their file system takes less time than one of each. */
const ONE_BY_ONE = 400;
/** Files that are open at the same time. */
const AT_ONCE = 64;

const sync = promisify(fs.fsync);
const execute = promisify(execFile);

/** Waits until a file or folder is on the disk as it is now. Errors come as the operating system gives them. */
export async function syncOne(path: string): Promise<void> {
  const windows = process.platform === 'win32';
  // Windows cannot open a folder; there the file system orders renames by itself.
  if (windows && fs.statSync(path).isDirectory()) return;
  const opened = fs.openSync(path, windows ? 'r+' : 'r');
  try {
    await sync(opened);
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP', 'EBADF'].includes(errnoOf(error) ?? '')) throw error;
  } finally {
    fs.closeSync(opened);
  }
}

/**
 * The same for all of these paths at once: those that wait together share the disk's journal.
 * @throws HaiveError IO_ERROR where the system's own program says that something did not reach the disk, and errors of the system
 */
export async function syncEach(paths: readonly string[]): Promise<void> {
  const [first] = paths;
  if (first !== undefined && paths.length > ONE_BY_ONE && (await syncFileSystem(first))) {
    const { dev } = fs.statSync(first);
    // A folder of the client's may be a link to another disk.
    return syncEach(paths.filter((path) => fs.statSync(path).dev !== dev));
  }
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < paths.length) await syncOne(paths[next++] as string);
  };
  await allOf(Array.from({ length: Math.min(AT_ONCE, paths.length) }, worker));
}

/** Waits for the end of all, also where one fails. @throws what the first of them that failed threw */
export async function allOf(running: readonly Promise<void>[]): Promise<void> {
  for (const one of await Promise.allSettled(running)) if (one.status === 'rejected') throw one.reason;
}

/** Node has no syncfs(2); coreutils' `sync` does. False where there is none that can. */
async function syncFileSystem(path: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  try {
    await execute('/bin/sync', ['-f', path], { env: {} });
    return true;
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string };
    if (!/: Input\/output error|: No space left/.test(stderr)) return false;
    throw new HaiveError('IO_ERROR', `Not all of ${path} reached the disk: ${stderr.trim()}`, { details: { path } });
  }
}
