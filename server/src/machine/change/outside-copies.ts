import { dirname } from 'node:path';
import {
  type Prepared,
  placePrepared,
  prepareAtomic,
  realTarget,
  temporaryOf,
  writeAtomic,
} from '../files/atomic-file.ts';
import { hashOnDisk, spoilt } from '../files/content-file.ts';
import { makeDirs } from '../files/file-port.ts';
import type { Machine } from '../machine.ts';

/** A file of a tree as it shall lie outside our folder: a copy of the loose layout, or a bare command. */
export interface OutsideCopy {
  plugin: string;
  /** Absolute. */
  path: string;
  /** Of what `bytes` must give. */
  sha256: string;
  /** Permission bits where the file is new. */
  mode: number;
  /** Null where the tree lacks the file. */
  bytes(): Promise<Buffer | null>;
}

/**
 * Writes copies beside their places, so that they can be checked before the commit and need only be renamed behind it. Folders that
 * are missing are made. A place below what is a file until the commit is left to `writeCopy`.
 * @throws HaiveError READ_ONLY, DISK_FULL, IO_ERROR
 */
export async function prepareCopies(m: Machine, prepared: Prepared, copies: readonly OutsideCopy[]): Promise<void> {
  for (const { path, mode, bytes } of copies) {
    const text = await bytes();
    if (text === null) continue;
    await makeDirs(m.port, dirname(path));
    await prepareAtomic(m.port, prepared, { path, text, mode });
  }
}

/** Reads what `prepareCopies` wrote again. @throws HaiveError VERIFY_FAILED naming the plugin and the path */
export async function checkCopies(prepared: Prepared, copies: readonly OutsideCopy[]): Promise<void> {
  for (const { plugin: name, path, sha256 } of copies) {
    const temporary = temporaryOf(await realTarget(path));
    if (!prepared.has(temporary) || (await hashOnDisk(temporary)) === sha256) continue;
    throw spoilt(name, path);
  }
}

/** Puts a copy in its place: the one that lies ready, or one that is made anew and read again before it gets there. */
export async function writeCopy(m: Machine, { path, sha256, mode, bytes }: OutsideCopy): Promise<void> {
  if (await placePrepared(m.port, path, { sha256, mode }, m.prepared)) return;
  const text = await bytes();
  if (text === null) return;
  await makeDirs(m.port, dirname(path));
  await writeAtomic(m.port, path, text, { mode, readBack: true, prepared: m.prepared });
}
