import { createHash, randomUUID } from 'node:crypto';
import type { BodyIn, Reply } from '../../contract/endpoints.ts';
import { KEY_HEADER } from '../../contract/headers.ts';
import { HaiveError } from '../../domain/errors.ts';
import type { ClientContext } from '../context.ts';
import { hubIsAway } from '../hub/hub-client.ts';
import { askAsMember } from './member.ts';

const REMEMBERED_MS = 10 * 60_000;

/** Where what may have arrived can be seen. */
const LOOK = { storeMemory: 'hv memories', broadcast: 'hv broadcasts', delegate: 'hv tasks' };

/** Keys of this process's calls that nobody answered, by what they said. */
const unanswered = new Map<string, { key: string; until: number }>();

/**
 * Asks the hub to make something. Asked the same again after no answer came, it is the same call to the hub, which makes it once.
 * @param own a key that the call is known by in every process, not in this one alone
 * @throws HaiveError what the hub says; a TIMEOUT says that it may have arrived
 */
export async function askOnce<N extends keyof typeof LOOK>(
  ctx: ClientContext,
  name: N,
  body: BodyIn<N>,
  own?: string,
): Promise<Reply<N>> {
  // Times are counted from the moment of asking: they differ each time.
  const said = JSON.stringify([name, { ...(body as object), expires_at: 0, deadline_at: 0 }]);
  const digest = createHash('sha256').update(said).digest('hex');
  const now = ctx.clock().getTime();
  const before = unanswered.get(digest);
  const key = own ?? (before !== undefined && before.until > now ? before.key : randomUUID());
  try {
    const headers = { [KEY_HEADER]: key };
    const answer = await askAsMember(ctx, (hub) => hub.call(name, { body, headers }));
    unanswered.delete(digest);
    return answer;
  } catch (thrown) {
    if (hubIsAway(thrown)) unanswered.set(digest, { key, until: now + REMEMBERED_MS });
    if (!(thrown instanceof HaiveError) || thrown.code !== 'TIMEOUT') throw thrown;
    throw new HaiveError('TIMEOUT', thrown.message, {
      cause: thrown,
      hint: `It may have arrived all the same. In this session the same call may be made again for ten minutes and counts once; otherwise look first: ${LOOK[name]}`,
    });
  }
}
