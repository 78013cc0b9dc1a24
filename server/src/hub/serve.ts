import { isLoopback } from '../domain/loopback.ts';
import type { EngineName } from '../storage/dialect.ts';
import type { HubConfig } from './config.ts';
import { writeOrLose } from './log.ts';
import { type RunningHub, startHub } from './server.ts';

/**
 * Runs a hub until SIGTERM or SIGINT, then drains and ends with 0; a second signal ends it at once.
 * @param json print one JSON line when ready instead of words
 * @throws HaiveError as startHub
 */
export async function serve(config: HubConfig, json: boolean): Promise<void> {
  // Heard from the first moment on: a signal during the start must not leave a lock or half a start behind.
  let hub: RunningHub | undefined;
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(signal === 'SIGINT' ? 130 : 143);
    stopping = true;
    if (hub !== undefined) void end(hub);
  };
  // Nor does a log end it whose reader is gone: that comes as an event, later.
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners('error').on('error', () => {});
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  hub = await startHub(config);
  // Also before an early end: what it says of the admin token is said by no later start.
  writeOrLose(process.stdout, json ? `${readyJson(hub)}\n` : readyText(hub, config));
  if (stopping) await end(hub);
}

/** Milliseconds beyond the drain that a stop may take: a database that is gone must not hold it. */
const STOP_MS = 10_000;

async function end(hub: RunningHub): Promise<void> {
  const { config, log } = hub.context;
  setTimeout(() => {
    log.warn({}, 'the hub did not come to its end in time, and ends as it is');
    process.exit(1);
  }, config.limits.drainMs + STOP_MS).unref();
  await hub.close();
  // Nothing is left to do; a stray handle must not keep the process.
  process.exit(0);
}

function readyJson(hub: RunningHub): string {
  return JSON.stringify({
    ready: true,
    url: hub.url,
    port: hub.port,
    pid: process.pid,
    hub_id: hub.context.identity.id,
    engine: hub.context.store.dialect,
    admin_token: hub.adminToken,
    join_token: hub.joinToken,
    join_line: hub.joinLine,
  });
}

/** What a person reads who started it. */
export function readyText(
  hub: Pick<RunningHub, 'url' | 'adminToken' | 'joinLine'> & { context: { store: { dialect: EngineName } } },
  { host, behindProxy }: Pick<HubConfig, 'host' | 'behindProxy'>,
): string {
  const lines = [`hAIveMind hub at ${hub.url} (${hub.context.store.dialect})`, ''];
  if (hub.adminToken !== null) {
    lines.push('Admin token, shown only this once:', `  ${hub.adminToken}`, '');
  }
  if (hub.joinLine !== null) lines.push('Join a machine (Node 20 or newer is all it needs):', `  ${hub.joinLine}`, '');
  const forOthers = !isLoopback(host) || behindProxy;
  if (forOthers && isLoopback(new URL(hub.url).hostname)) {
    lines.push(
      'That address is for this host alone. Name the one that machines use with --public-url https://NAME:PORT',
      '',
    );
  }
  return `${lines.join('\n')}\n`;
}
