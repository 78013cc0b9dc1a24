import type { HubConfig } from './config.ts';
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
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  hub = await startHub(config);
  // Also before an early end: what it says of the admin token is said by no later start.
  process.stdout.write(json ? `${readyJson(hub)}\n` : readyText(hub));
  if (stopping) await end(hub);
}

async function end(hub: RunningHub): Promise<void> {
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

function readyText(hub: RunningHub): string {
  const lines = [`hAIveMind hub at ${hub.url} (${hub.context.store.dialect})`, ''];
  if (hub.adminToken !== null) {
    lines.push('Admin token, shown only this once:', `  ${hub.adminToken}`, '');
  }
  if (hub.joinLine !== null) lines.push('Join a machine (Node 20 or newer is all it needs):', `  ${hub.joinLine}`, '');
  return `${lines.join('\n')}\n`;
}
