import { type ClientContext, hubFor } from '../context.ts';
import type { HubClient } from '../hub/hub-client.ts';

/**
 * Opens a connection for one question and closes it; a machine speaks as itself, also where an operator is logged in on it.
 * HAIVEMIND_TOKEN goes before that.
 */
export async function askAsMember<T>(ctx: ClientContext, question: (hub: HubClient) => Promise<T>): Promise<T> {
  const joined = ctx.config.token !== undefined && ctx.config.hub_url !== undefined && ctx.env.token === undefined;
  const hub = await hubFor(ctx, joined ? 'machine' : 'reader');
  try {
    return await question(hub);
  } finally {
    hub.close();
  }
}
