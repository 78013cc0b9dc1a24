import {
  publishReviewed,
  type Review,
  rejectReviewed,
  reviewOf,
  waitingReviews,
} from '../../../client/trust/review.ts';
import { HaiveError } from '../../../domain/errors.ts';
import { clean, type Style } from '../output.ts';
import type { Verb } from '../verb.ts';
import { listOption } from './options.ts';
import { findingLines } from './publishing.ts';
import { surfaceLines, withheldLines } from './surface-text.ts';

export const review: Verb = async (call) => {
  const { style, options } = call;
  const [ref] = call.args;
  const ctx = await call.open();
  if (options.publish === true && options.reject === true)
    throw new HaiveError('USAGE', '--publish and --reject exclude each other');
  const groups = listOption(options.groups, 'groups');
  if (groups !== undefined && options.all === true)
    throw new HaiveError('USAGE', '--groups and --all exclude each other');
  if (options.publish !== true && (groups !== undefined || options.all === true || options.quiet === true))
    throw new HaiveError('USAGE', '--groups, --all and --quiet want --publish');
  if (ref === undefined) {
    if (options.publish === true || options.reject === true)
      throw new HaiveError('USAGE', 'Which version? Name it exactly', { hint: '`hv review` lists what waits.' });
    const waiting = await waitingReviews(ctx);
    const text =
      waiting.length === 0 ? 'Nothing waits for a review.' : waiting.map((r) => shown(r, style)).join('\n\n');
    return { json: { reviews: waiting }, text };
  }
  const reason = options.reason as string | undefined;
  if (options.reject === true && reason === undefined)
    throw new HaiveError('USAGE', '--reason is missing', { hint: 'Its author is told, who registers it again.' });
  const found = await reviewOf(ctx, ref);
  const what = `${found.name} ${found.version}`;
  if (options.publish === true) {
    const target = { groups, all: options.all === true, notify: options.quiet !== true };
    const done = await publishReviewed(ctx, found, target);
    const to = done.groups.includes('*') ? 'everybody' : done.groups.join(', ');
    const how = done.signed ? 'approved, signed and published' : 'approved and published';
    return { json: { ...found, ...done }, text: `${style.green('✓')} ${what} is ${how} to ${to}` };
  }
  if (options.reject === true) {
    const done = await rejectReviewed(ctx, found, reason ?? '');
    const back = 'is sent back; a mended one needs a higher version';
    const said =
      done.groups === undefined ? back : `does not go to ${done.groups.join(', ')}, and stays where it is offered`;
    return { json: done, text: `${style.green('✓')} ${what} ${said}` };
  }
  return { json: found, text: [shown(found, style), style.dim(found.digest)].join('\n') };
};

function shown(r: Review, style: Style): string {
  const from = r.origin === null ? '' : ` from ${clean(r.origin)}`;
  const surface = surfaceLines(r.surface, style);
  const news = r.against === null ? [] : surfaceLines(r.added, style, style.red('  + '));
  return [
    `${style.bold(`${r.name} ${r.version}`)} by ${clean(r.publisher)}${from}, ${r.registered_at}`,
    ...(r.held === null ? [] : [style.yellow(`  wants to go to ${r.held.groups.map(clean).join(', ')}`)]),
    ...withheldLines(r.withheld, `${r.name}@${r.version}`, style),
    ...(surface.length === 0 ? ['  text only: no hooks, servers, commands or grants'] : surface),
    ...(r.against === null
      ? []
      : [`  against ${r.against}: ${news.length === 0 ? 'does no more' : 'does more'}`, ...news]),
    ...r.code_changed.map((path) => `  ${style.yellow('~')} ${clean(path)}`),
    ...(r.findings.length === 0 ? ['  nothing was found'] : findingLines(r.findings, style).map((l) => `  ${l}`)),
  ].join('\n');
}
