import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { HAIVEMIND_VERSION } from '../../contract/version.ts';
import { HaiveError } from '../../domain/errors.ts';
import { writeAtomic } from '../../machine/files/atomic-file.ts';
import { readFileOrNull } from '../../machine/files/file-port.ts';
import { type ClientContext, hubFor } from '../context.ts';

export interface SelfUpdateResult {
  /** `current`: nothing to do · `updated`: takes effect at the next run · `foreign`: this program was not installed by a join line. */
  state: 'current' | 'updated' | 'foreign';
  from: string;
  to: string;
}

/**
 * Replaces ~/.haivemind/bin/hv.mjs by the hub's bundle where they differ; every byte is checked first.
 * Only the program that the join line installed replaces itself.
 * @param runningFrom the file that runs now (process.argv[1])
 * @throws HaiveError HASH_MISMATCH, PROTOCOL_MISMATCH, and those of the call
 */
export async function selfUpdate(ctx: ClientContext, runningFrom: string): Promise<SelfUpdateResult> {
  const own = join(ctx.machine.paths.bin, 'hv.mjs');
  const from = HAIVEMIND_VERSION;
  if (!(await sameFile(own, runningFrom))) return { state: 'foreign', from, to: from };
  const hub = await hubFor(ctx, 'reader');
  try {
    const offered = await hub.call('bundleInfo');
    const here = await readFileOrNull(own);
    if (here !== null && sha256(here) === offered.sha256) return { state: 'current', from, to: offered.version };
    const bytes = await hub.call('bundle');
    if (bytes.length !== offered.size || sha256(bytes) !== offered.sha256) {
      throw new HaiveError('HASH_MISMATCH', 'The bundle that the hub sent is not the one it announced');
    }
    await writeAtomic(ctx.machine.port, own, bytes, { mode: 0o755 });
    return { state: 'updated', from, to: offered.version };
  } finally {
    hub.close();
  }
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

async function sameFile(a: string, b: string): Promise<boolean> {
  try {
    return (await realpath(a)) === (await realpath(b));
  } catch {
    return false;
  }
}
