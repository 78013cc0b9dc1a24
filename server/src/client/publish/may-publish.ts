import { ENDPOINTS } from '../../contract/endpoints.ts';
import { mayUse, type Role } from '../../contract/roles.ts';
import { HaiveError } from '../../domain/errors.ts';
import type { HubClient } from '../hub/hub-client.ts';

const rolesOf = async (hub: HubClient): Promise<readonly Role[]> => (await hub.call('whoami')).token.roles;

/** Whether the token may publish; a contributor's only registers. @throws HaiveError of the hub */
export async function mayPublish(hub: HubClient): Promise<boolean> {
  return mayUse(await rolesOf(hub), ENDPOINTS.publish.access);
}

/**
 * Asked before anything is sent: what is registered has used up its number.
 * @param instead what a token that may only register can do
 * @throws HaiveError FORBIDDEN and those of the hub
 */
export async function requireMayPublish(
  hub: HubClient,
  instead = 'Run `hv register` with the same folder',
): Promise<void> {
  const roles = await rolesOf(hub);
  if (mayUse(roles, ENDPOINTS.publish.access)) return;
  if (mayUse(roles, ENDPOINTS.register.access)) {
    throw new HaiveError('FORBIDDEN', 'This token may register plugins, not publish them; nothing was sent', {
      hint: `${instead}: an operator looks at it and publishes it (\`hv review\`).`,
    });
  }
  const needed = ENDPOINTS.publish.access.join(' or ');
  throw new HaiveError(
    'FORBIDDEN',
    `Publishing needs the role ${needed}; this token has ${roles.join(', ')}, nothing was sent`,
    {
      hint: 'Ask an admin for a token with a role that the message names, and log in with it: `hv login URL --token T`.',
    },
  );
}

/** A refusal of the hub to publish what a contributor may have registered, with who does it; others as they are. */
export function withReviewer(thrown: unknown, ref: string): unknown {
  if (!(thrown instanceof HaiveError) || thrown.code !== 'FORBIDDEN') return thrown;
  const { message, details = {} } = thrown;
  const { has } = details;
  if (!Array.isArray(has) || !has.includes('contributor')) return thrown;
  return new HaiveError('FORBIDDEN', message, {
    details,
    hint: `An operator looks at what you registered and publishes it: \`hv review ${ref}\`.`,
  });
}
