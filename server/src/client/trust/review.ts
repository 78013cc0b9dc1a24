import type { Reply } from '../../contract/endpoints.ts';
import { HaiveError } from '../../domain/errors.ts';
import { parsePluginRef } from '../../domain/names.ts';
import type { ClientContext } from '../context.ts';
import { ask } from '../hub/registry.ts';
import { type PublishTarget, targetBody } from '../publish/index.ts';
import { approvePlugin } from './verbs.ts';

export type Review = Reply<'reviews'>['reviews'][number];

/** Everything that waits for an operator, the oldest first. @throws HaiveError of the hub */
export async function waitingReviews(ctx: ClientContext): Promise<Review[]> {
  return ask(ctx, 'operator', async (hub) => {
    const all: Review[] = [];
    for (let after: string | undefined; ; ) {
      const page = await hub.call('reviews', { query: after === undefined ? {} : { after } });
      all.push(...page.reviews);
      if (page.next === null) return all;
      after = page.next;
    }
  });
}

/** One version that waits. @throws HaiveError USAGE without an exact version, and those of the hub */
export async function reviewOf(ctx: ClientContext, ref: string): Promise<Review> {
  const { id, range } = parsePluginRef(ref);
  if (id === undefined && range === null) {
    throw new HaiveError('USAGE', 'Which version? Name it exactly', { hint: '`hv review` lists what waits.' });
  }
  const { reviews } = await ask(ctx, 'operator', (hub) => hub.call('reviews', { query: { plugin: ref } }));
  const [found] = reviews;
  if (found !== undefined) return found;
  throw new HaiveError('VERSION_NOT_FOUND', `Nothing called ${ref} waits for a review`);
}

/**
 * Publishes what was looked at: approved (and signed, where this machine has an operator's key), what it does accepted, and offered to
 * the groups that its publisher asked for or to those named here.
 * @throws HaiveError of approvePlugin and of the hub (TARGET_REQUIRED …)
 */
export async function publishReviewed(
  ctx: ClientContext,
  review: Review,
  target: PublishTarget,
): Promise<{ groups: string[]; signed: boolean }> {
  const { id, digest } = review;
  const isNamed = target.groups !== undefined || target.all === true;
  return ask(ctx, 'operator', async (hub) => {
    const body = { plugin_id: id, ...targetBody(target), accept_surface: true };
    // Whoever cannot publish it to these groups approves nothing.
    const isOffered = review.status === 'published';
    if (isNamed || (review.held === null && !isOffered))
      await hub.call('publish', { body: { ...body, dry_run: true } });
    const { name, version, published, groups, signed, deprecated } = await approvePlugin(ctx, id, { digest });
    if (deprecated !== undefined && !isNamed) {
      const ref = `${name}@${version}`;
      throw new HaiveError('STATUS_FORBIDS', `${ref} is approved, and stays deprecated: ${deprecated}`, {
        hint: `To offer it to new machines: \`hv deprecate ${ref} --undo\`.`,
      });
    }
    if (isOffered && !isNamed) return { groups: review.withheld?.groups ?? [], signed };
    if (published && !isNamed) return { groups, signed };
    return { groups: (await hub.call('publish', { body })).groups, signed };
  });
}

/** Sends back what was looked at. @throws HaiveError of the hub (STATUS_FORBIDS once it was published) */
export async function rejectReviewed(ctx: ClientContext, review: Review, reason: string): Promise<Reply<'reject'>> {
  const { id, digest } = review;
  return ask(ctx, 'operator', (hub) => hub.call('reject', { params: { id }, body: { reason, digest } }));
}
