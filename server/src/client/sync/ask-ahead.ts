import { readConfig } from '../../machine/config-file.ts';
import type { ClientContext } from '../context.ts';
import type { HubClient } from '../hub/hub-client.ts';
import { fetchPlan, type PlanAnswer } from './plan.ts';

/** What came of the first question of a sync, which is asked before the machine's lock is taken: a plan, or why there is none. */
export interface Ahead {
  answer?: PlanAnswer;
  thrown?: unknown;
  /** The plan that this machine followed then. */
  seen: string;
}

/**
 * Asks for the plan without the lock: a hub that hangs then keeps nobody waiting who needs none, such as a rollback. What it throws is
 * kept for later, because what a crash left is mended first.
 */
export async function askAhead(
  ctx: ClientContext,
  hub: HubClient,
  options: { fresh: boolean; signal: AbortSignal },
): Promise<Ahead> {
  ctx.config = await readConfig(ctx.machine);
  const seen = followed(ctx);
  try {
    return { answer: await fetchPlan(ctx, hub, options), seen };
  } catch (thrown) {
    return { thrown, seen };
  }
}

/**
 * The answer that was had ahead; undefined where another process has followed a newer plan since.
 * @throws what asking threw
 */
export function answerOf(ctx: ClientContext, { answer, thrown, seen }: Ahead): PlanAnswer | undefined {
  if (followed(ctx) !== seen) return undefined;
  if (answer === undefined) throw thrown;
  return answer;
}

const followed = ({ config }: ClientContext): string => JSON.stringify(config.plan ?? null);
