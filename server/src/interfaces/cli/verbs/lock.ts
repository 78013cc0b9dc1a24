import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { lockMachine } from '../../../client/sync/frozen.ts';
import { LOCK_NAME } from '../../../domain/desired/lockfile.ts';
import { fileError } from '../../../machine/files/file-port.ts';
import type { Verb } from '../verb.ts';

/** Writes what is installed here as a lockfile. */
export const lock: Verb = async (call) => {
  const file = resolve(call.cwd, call.options.out ?? LOCK_NAME);
  const { text, plugins } = await lockMachine(await call.open());
  await writeFile(file, text).catch((cause) => {
    throw fileError(cause, file);
  });
  const count = `${plugins.length} plugin${plugins.length === 1 ? '' : 's'}`;
  return { json: { file, plugins }, text: `${call.style.green('✓')} ${count} locked in ${file}` };
};
