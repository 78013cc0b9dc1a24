import type { BodyIn, Reply } from '../contract/endpoints.ts';
import { HaiveError } from '../domain/errors.ts';
import { type ClientContext, hubFor } from './context.ts';
import { ask } from './hub/registry.ts';

export type Advice = Reply<'recommend'>;

/**
 * Plugins for this machine, for a task in words, or for what an agent can do, each with its reason.
 * @throws HaiveError of the hub
 */
export async function advise(ctx: ClientContext, wish: BodyIn<'recommend'>): Promise<Advice> {
  // A machine's own token speaks for the machine; anybody else asks about a task or names one.
  const purpose = ctx.config.token !== undefined && wish.machine === undefined ? 'machine' : 'reader';
  return ask(ctx, purpose, (hub) => hub.call('recommend', { body: wish }));
}

/** Status and join do without advice rather than wait longer, in ms. */
const PATIENCE_MS = 2_000;

/** Advice for this machine, for where it is shown beside something else; null where there is none to be had. */
export async function adviceBeside(ctx: ClientContext, limit = 3): Promise<Advice | null> {
  if (ctx.config.token === undefined) return null;
  try {
    const hub = await hubFor(ctx, 'machine', PATIENCE_MS);
    try {
      return await hub.call('recommend', { body: { limit } });
    } finally {
      hub.close();
    }
  } catch (thrown) {
    if (thrown instanceof HaiveError) return null;
    throw thrown;
  }
}
