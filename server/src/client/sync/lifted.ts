import type { Plan } from '../../domain/plan/index.ts';
import { liftedHolds } from '../../domain/plan/lifted-holds.ts';
import { readReceipts } from '../../machine/receipts/index.ts';
import type { ClientContext } from '../context.ts';
import { dropHolds } from '../install/said-before.ts';
import { cachedPlan } from './plan.ts';

/**
 * Ends the holds of rollbacks that were lifted at the hub, before a report says them there again. The lock must be held.
 * @param plan the one to be followed now
 * @returns what was done, for people
 */
export async function endLiftedHolds(ctx: ClientContext, plan: Plan): Promise<string[]> {
  // What this folder followed last: another CLAUDE_CONFIG_DIR, which holds nothing of it, may have followed a newer one.
  const before = await cachedPlan(ctx);
  if (before === null) return [];
  const lifted = liftedHolds(before.plan, plan, (await readReceipts(ctx.machine)).holds);
  if (lifted.length > 0) await dropHolds(ctx, lifted);
  return lifted.map((name) => `${name} is not held any more: that was lifted at the hub`);
}
