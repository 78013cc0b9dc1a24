import { HaiveError, toHaiveError } from '../../domain/errors.ts';
import { readConfig } from '../../machine/config-file.ts';
import { withLock } from '../../machine/processes/lock.ts';
import type { ClientContext } from '../context.ts';
import { Channel, left, pause } from './channel.ts';
import { type LiveOptions, PACE } from './options.ts';

/**
 * Keeps this machine in step while `signal` is not aborted: holds the machine's one live channel (or waits until its holder is
 * gone), syncs when the doorbell rings and at `sync_interval`, and keeps the state file fresh that lets hooks end at once.
 * @throws HaiveError NOT_JOINED, at the start or once the machine has left; other failures go to `onError`
 */
export async function holdLiveChannel(ctx: ClientContext, options: LiveOptions): Promise<void> {
  if (ctx.config.token === undefined || ctx.config.hub_url === undefined) {
    throw new HaiveError('NOT_JOINED', 'This machine has not joined a hub');
  }
  const pace = { ...PACE, ...options.pace };
  const { machine } = ctx;
  const claim = { ...machine, paths: { ...machine.paths, lock: machine.paths.liveLock } };
  while (!options.signal.aborted) {
    try {
      // Taking the lock makes our folder, which must stay away once the machine has left.
      ctx.config = await readConfig(machine);
      if (ctx.config.token === undefined) throw left();
      await withLock(claim, 'live channel', () => new Channel(ctx, options, pace).run(), { waitMs: 0 });
    } catch (thrown) {
      const error = toHaiveError(thrown);
      if (error.code === 'NOT_JOINED') throw error;
      if (error.code === 'LOCKED') options.onState?.('waiting');
      else options.onError?.(error);
      await pause(pace.claim, options.signal);
    }
  }
}
