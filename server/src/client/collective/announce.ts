import { HaiveError } from '../../domain/errors.ts';
import type { ClientContext } from '../context.ts';
import { ask } from '../hub/registry.ts';

/**
 * Tells the hub what this machine is for (`role`, `about` of its configuration), so that tasks find it.
 * @returns false where the machine has joined no hub
 * @throws HaiveError of the hub
 */
async function announceRole(ctx: ClientContext): Promise<boolean> {
  const { token, hub_url, role = '', about = '' } = ctx.config;
  if (token === undefined || hub_url === undefined) return false;
  await ask(ctx, 'machine', (hub) => hub.call('announce', { body: { role, about } }));
  return true;
}

/**
 * The same where it is only by the way: what the hub was not told now, the live channel tells it when it connects.
 * @returns why it could not be told, or null
 */
export async function tryToAnnounce(ctx: ClientContext): Promise<string | null> {
  try {
    await announceRole(ctx);
    return null;
  } catch (thrown) {
    if (!(thrown instanceof HaiveError)) throw thrown;
    return `The hub was not told the role (${thrown.code}); a session or agent does when it connects`;
  }
}
