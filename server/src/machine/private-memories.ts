import { dirname } from 'node:path';
import * as z from 'zod';
import { HaiveError } from '../domain/errors.ts';
import { writeAtomic } from './files/atomic-file.ts';
import { makeDirs, readFileOrNull } from './files/file-port.ts';
import type { Machine } from './machine.ts';
import { withLock } from './processes/lock.ts';

const FORMAT = 1;

/** A memory that never leaves this machine. */
export const PrivateMemory = z.object({
  id: z.string(),
  content: z.string(),
  category: z.string(),
  tags: z.array(z.string()),
  project: z.string().nullable(),
  importance: z.number().int(),
  confidentiality: z.enum(['normal', 'internal', 'confidential', 'pii']),
  created_at: z.string(),
  updated_at: z.string(),
  expires_at: z.string().nullable(),
});
export type PrivateMemory = z.output<typeof PrivateMemory>;

const File = z.object({ format: z.literal(FORMAT), memories: z.array(PrivateMemory) });

/**
 * The private memories that have not expired, oldest first.
 * @throws HaiveError CONFIG_INVALID when the file is none of ours
 */
export async function privateMemories(m: Machine): Promise<PrivateMemory[]> {
  const now = m.clock().toISOString();
  return (await read(m)).filter((memory) => memory.expires_at === null || memory.expires_at > now);
}

/**
 * Changes the private memories under a lock, and writes them whole, mode 0600; those that have expired go.
 * @throws HaiveError CONFIG_INVALID, LOCKED, DISK_FULL, READ_ONLY, IO_ERROR
 */
export async function changePrivateMemories<T>(
  m: Machine,
  change: (memories: PrivateMemory[]) => { next: PrivateMemory[]; result: T },
): Promise<T> {
  const locked = { ...m, paths: { ...m.paths, lock: m.paths.memoriesLock } };
  return await withLock(locked, 'private memories', async () => {
    const { next, result } = change(await privateMemories(m));
    await makeDirs(m.port, dirname(m.paths.memories));
    const text = `${JSON.stringify({ format: FORMAT, memories: next }, null, 1)}\n`;
    await writeAtomic(m.port, m.paths.memories, text, { secret: true });
    return result;
  });
}

async function read(m: Machine): Promise<PrivateMemory[]> {
  const bytes = await readFileOrNull(m.paths.memories);
  if (bytes === null) return [];
  try {
    return File.parse(JSON.parse(bytes.toString('utf8'))).memories;
  } catch (cause) {
    throw new HaiveError('CONFIG_INVALID', `${m.paths.memories} is not a file of memories`, {
      cause,
      hint: 'Move it away; it was left as it is.',
    });
  }
}
