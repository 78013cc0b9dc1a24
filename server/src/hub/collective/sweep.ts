import type { HubContext } from '../context.ts';
import { repeat } from '../repeat.ts';
import { settleTasks, tellOpenTasks } from './tasks.ts';
import type { InboxBell } from './write.ts';

const EVERY_MS = 15_000;
const PURGE_EVERY = 240;
/** Forgotten and expired rows stay so long, for hub processes that were away. */
const KEEP_MS = 7 * 24 * 3600_000;
const KEEP_TASKS_MS = 90 * 24 * 3600_000;

/**
 * Opens tasks again whose claimant is gone and shows those to all that the first did not take, every 15 s, and takes out what
 * is long over, every hour.
 * @returns what ends it
 */
export function startCollectiveSweep(hub: HubContext, bell: InboxBell): () => Promise<void> {
  const sweep = collectiveSweep(hub, bell);
  return repeat(EVERY_MS, sweep, (error) => hub.log.warn({ error }, 'the collective could not be swept'));
}

/** One round of it each time it is called. */
export function collectiveSweep(hub: HubContext, bell: InboxBell): () => Promise<void> {
  let round = 0;
  // What fell due while this process was not there is told in its first round.
  let toldUntil = 0;
  return async () => {
    await settleTasks(hub, bell);
    toldUntil = await tellOpenTasks(hub, bell, toldUntil);
    if (round++ % PURGE_EVERY === 0) await purge(hub);
  };
}

/** Takes out what nobody can see any more. */
export async function purge(hub: HubContext): Promise<void> {
  const now = hub.clock().getTime();
  const old = new Date(now - KEEP_MS).toISOString();
  const oldTasks = new Date(now - KEEP_TASKS_MS).toISOString();
  await hub.store.transact(async (tx) => {
    await tx.deleteFrom('memories').where('forgotten', '=', 1).where('updated_at', '<', old).execute();
    await tx.deleteFrom('memories').where('expires_at', '<', old).execute();
    await tx.deleteFrom('broadcasts').where('expires_at', '<', old).execute();
    await tx
      .deleteFrom('tasks')
      .where('status', 'in', ['done', 'failed', 'cancelled'])
      .where('updated_at', '<', oldTasks)
      .execute();
    await tx.deleteFrom('acknowledgements').where('at', '<', oldTasks).execute();
  });
}
