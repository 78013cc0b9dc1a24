import type { BodyIn } from '../../contract/endpoints.ts';
import { HaiveError } from '../../domain/errors.ts';
import { type Counted, resolveUse, type UseEvent } from '../../domain/use.ts';
import { usablePlugins } from '../../machine/claude/usable.ts';
import { readReceipts } from '../../machine/receipts/index.ts';
import { readUsage, type UsageAnswer, type UsageCounter, usageTold } from '../../machine/usage.ts';
import type { ClientContext } from '../context.ts';
import { type HubClient, hubIsAway } from '../hub/hub-client.ts';

/** The hub takes no longer reports at once. */
const MAX_SENT = 2000;

/**
 * Counts one use of a component, where it is one of a plugin that came from the hub and counting is not switched off.
 * @returns whether it was counted
 */
export async function countUse(ctx: ClientContext, counter: UsageCounter, event: UseEvent): Promise<boolean> {
  if (!counts(ctx)) return false;
  const use = resolveUse(event, await usablePlugins(ctx.machine, await readReceipts(ctx.machine)));
  if (use === null) return false;
  await counter.add(use);
  return true;
}

const counts = ({ config }: ClientContext): boolean =>
  config.token !== undefined && config.plugins.enabled && config.plugins.usage;

/** Of which hub this machine is which member: what is counted is for no other. */
export const memberOf = ({ config: { hub, machine } }: ClientContext): string => `${hub?.id} ${machine?.id}`;

/**
 * Tells the hub what was used since the last time; what it has heard before does no harm. The lock must be held.
 * A hub that is away or refuses is told with the next sync.
 * @throws HaiveError of this machine's disk
 */
export async function sendUsage(ctx: ClientContext, hub: HubClient, signal?: AbortSignal): Promise<void> {
  if (!counts(ctx)) return;
  const member = memberOf(ctx);
  const { waiting } = await readUsage(ctx.machine, member);
  if (waiting.length === 0) return;
  const batch: typeof waiting = [];
  let rows = 0;
  for (const session of waiting) {
    rows += session.counts.length;
    if (rows > MAX_SENT) break;
    batch.push(session);
  }
  const body = { counts: batch.flatMap(({ session, counts }) => counts.map((count) => ({ session, ...count }))) };
  const answer = await tell(hub, body, signal);
  if (answer !== null) await usageTold(ctx.machine, member, batch, answer);
}

/** What the hub says of a report; null when it is away. */
async function tell(
  hub: HubClient,
  body: BodyIn<'reportUsage'>,
  signal: AbortSignal | undefined,
): Promise<UsageAnswer | null> {
  try {
    return await hub.call('reportUsage', { params: { machine: 'me' }, body, signal });
  } catch (thrown) {
    if (!(thrown instanceof HaiveError)) throw thrown;
    return hubIsAway(thrown) ? null : { refused: `${thrown.code}: ${thrown.message}` };
  }
}

export interface UsageHere {
  /** False: `plugins.usage` or `plugins.enabled` is, or no hub was joined. */
  counting: boolean;
  /** What the next sync sends, exactly. */
  waiting: ({ session: string } & Counted)[];
  /**
   * What the hub took last, exactly as it was sent, and when (ISO-8601); how many of these rows it did not count, and why it refused
   * a report since.
   */
  sent: { at: string | null; counts: ({ session: string } & Counted)[]; ignored: number; refused: string | null };
}

/** What was counted on this machine: what the hub is going to be told, and what it was told last. */
export async function usageHere(ctx: ClientContext): Promise<UsageHere> {
  const { waiting, told } = await readUsage(ctx.machine, memberOf(ctx));
  return {
    counting: counts(ctx),
    waiting: waiting.flatMap(({ session, counts }) => counts.map((count) => ({ session, ...count }))),
    sent: { at: told.at, counts: told.last, ignored: told.ignored, refused: told.refused },
  };
}
