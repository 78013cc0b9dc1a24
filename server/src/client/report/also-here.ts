import { toHaiveError } from '../../domain/errors.ts';
import type { ClientContext } from '../context.ts';
import type { SyncResult } from '../sync/index.ts';

/**
 * Carries out at once what machines were told of through the hub, where this machine is one of them; the others follow by themselves.
 * @param told names of the machines
 * @returns what was done here: null where it is another's affair, or where it has to wait (a warning says so); the order stands anyway
 */
export async function alsoHere(
  { config }: ClientContext,
  told: readonly string[],
  work: () => Promise<SyncResult>,
): Promise<{ sync: SyncResult | null; warnings: string[] }> {
  const me = config.token === undefined ? undefined : config.machine?.name;
  if (me === undefined || !told.includes(me)) return { sync: null, warnings: [] };
  try {
    return { sync: await work(), warnings: [] };
  } catch (thrown) {
    return { sync: null, warnings: [`This machine follows with its next sync (${toHaiveError(thrown).code})`] };
  }
}
