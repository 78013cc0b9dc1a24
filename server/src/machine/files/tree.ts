import { lstatSync, readlinkSync } from 'node:fs';
import { errnoOf } from '../../domain/errors.ts';
import { sha256Of } from '../store/blob-store.ts';
import { fileError, listDir, readFile } from './file-port.ts';

/** What lies in a folder, as it is now. */
export interface DiskFile {
  /** POSIX, relative to the tree. */
  path: string;
  absolute: string;
  kind: 'file' | 'link' | 'other';
  /** Bytes. */
  size: number;
  /** Permission bits. */
  mode: number;
  /** sha256 of the bytes; of a link, of its target. */
  sha256: string;
  /** What the bytes would be in the tree, of a file that lies outside it in another form. */
  bytes?: Buffer;
  /** sha256 of what lies there, where `bytes` and `sha256` are of another form of it in the tree itself. */
  onDisk?: string;
}

/** As much of a file as tells whether it is as it was. */
export type SeenFile = Pick<DiskFile, 'kind' | 'sha256' | 'mode'>;

/**
 * Whether a file that was published as executable is not any more, and otherwise as it was: hooks and servers die of that, as after
 * a backup that keeps no modes. Never on a system without such bits.
 */
export function hasLostBit(
  { executable, sha256 }: { executable: boolean; sha256: string },
  there: SeenFile | undefined,
): boolean {
  if (!executable || there?.kind !== 'file' || process.platform === 'win32') return false;
  return there.sha256 === sha256 && (there.mode & 0o100) === 0;
}

/**
 * All files below a folder by path; links are not followed. Empty where the folder is missing.
 * @throws HaiveError IO_ERROR, READ_ONLY (no right to read)
 */
export async function scanTree(root: string): Promise<Map<string, DiskFile>> {
  const files = new Map<string, DiskFile>();
  await scan(root, '', files);
  return files;
}

async function scan(root: string, prefix: string, files: Map<string, DiskFile>): Promise<void> {
  for (const entry of await listDir(prefix === '' ? root : `${root}/${prefix}`)) {
    const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
    if (entry.isDirectory()) await scan(root, path, files);
    else files.set(path, await look(`${root}/${path}`, path, entry.isFile()));
  }
}

/** The `sha256` of `scanTree` for one path; null where nothing lies there. @throws HaiveError IO_ERROR, READ_ONLY (no right to read) */
export async function hashInTree(absolute: string): Promise<string | null> {
  try {
    return (await look(absolute, absolute, true)).sha256;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  }
}

async function look(absolute: string, path: string, isFile: boolean): Promise<DiskFile> {
  try {
    const read = isFile ? await readFile(absolute) : null;
    const stat = read?.stat ?? lstatSync(absolute);
    const file = { path, absolute, size: stat.size, mode: stat.mode & 0o777 };
    if (read !== null) return { ...file, kind: 'file', sha256: sha256Of(read.bytes) };
    if (stat.isSymbolicLink()) return { ...file, kind: 'link', sha256: sha256Of(`link ${readlinkSync(absolute)}`) };
    return { ...file, kind: 'other', sha256: '' };
  } catch (error) {
    throw fileError(error, absolute, 'read');
  }
}
