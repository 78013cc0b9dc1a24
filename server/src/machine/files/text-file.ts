import { basename, dirname, join } from 'node:path';
import { HaiveError } from '../../domain/errors.ts';
import type { Machine } from '../machine.ts';
import { realTarget, writeAtomic } from './atomic-file.ts';
import { makeDirs, readFileOrNull, removeFile } from './file-port.ts';

/** Null stands for a file that does not exist. */
export type Text = string | null;

/** The text of a file that others write, or null. @throws HaiveError SETTINGS_INVALID when it is not UTF-8 */
export async function readText(path: string): Promise<Text> {
  const bytes = await readFileOrNull(await realTarget(path));
  if (bytes === null) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new HaiveError('SETTINGS_INVALID', `${path} is not UTF-8`, { cause });
  }
}

/**
 * The same where only what is ours in the file counts: one that is no text and holds nothing of ours is as good as not there.
 * @throws HaiveError SETTINGS_INVALID when it is not UTF-8 and names us
 */
export async function readOurs(path: string): Promise<Text> {
  try {
    return await readText(path);
  } catch (error) {
    const bytes = await readFileOrNull(await realTarget(path));
    if (/haivemind|collective/.test(bytes?.toString('latin1').replaceAll('\0', '') ?? '')) throw error;
    return null;
  }
}

/** Permission bits of such a file where we make it. */
export const NEW_MODE = 0o600;

/** Writes what an edit made of a file, after a copy of what was there; does nothing where nothing changed. */
export async function writeText(m: Machine, path: string, before: Text, after: Text): Promise<void> {
  if (before === after) return;
  if (before !== null) await keepBackup(m, path, before);
  if (after === null) await removeFile(m.port, await realTarget(path));
  else {
    await makeDirs(m.port, dirname(path));
    await writeAtomic(m.port, path, after, { mode: NEW_MODE, prepared: m.prepared });
  }
}

async function keepBackup(m: Machine, path: string, text: string): Promise<void> {
  if (m.backups === false) return;
  await makeDirs(m.port, m.paths.backups);
  await writeAtomic(m.port, join(m.paths.backups, basename(path)), text, { mode: 0o600, fsync: false });
}
