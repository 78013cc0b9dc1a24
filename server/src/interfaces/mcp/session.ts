import { openClient } from '../../client/context.ts';
import { holdLiveChannel } from '../../client/live/hold.ts';
import { formatError, type HaiveError, toHaiveError } from '../../domain/errors.ts';
import { takeLease } from '../../machine/processes/leases.ts';
import type { Environment } from '../environment.ts';

/**
 * What this server does for the machine beside answering calls, until `signal` aborts: a lease keeps the versions this
 * session has loaded on the disk, and one server of all sessions holds the machine's live channel and applies what the
 * hub announces. Failures go to stderr; tool calls do not depend on any of it.
 */
export async function attendSession(environment: Environment, signal: AbortSignal): Promise<void> {
  const ctx = await openClient(environment);
  const { enabled, auto_sync } = ctx.config.plugins;
  if (ctx.config.token === undefined || ctx.config.hub_url === undefined) return;
  const lease = await takeLease(ctx.machine, { pid: process.pid, sessionId: `mcp-${process.pid}` }).catch(report);
  try {
    if (enabled && auto_sync) {
      await holdLiveChannel(ctx, { signal, onError: report });
    } else if (!signal.aborted) {
      await new Promise((done) => signal.addEventListener('abort', done, { once: true }));
    }
  } catch (thrown) {
    report(thrown);
  } finally {
    await lease?.release().catch(report);
  }
}

let last: HaiveError['code'] | undefined;

/** One line per kind of trouble: a hub that is away for a night must not fill the client's log. */
function report(thrown: unknown): undefined {
  const error = toHaiveError(thrown);
  if (error.code !== last) process.stderr.write(`haivemind: ${formatError(error)}\n`);
  last = error.code;
}
