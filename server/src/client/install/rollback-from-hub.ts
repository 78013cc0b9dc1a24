import { HaiveError, toHaiveError } from '../../domain/errors.ts';
import { readReceipts } from '../../machine/receipts/index.ts';
import type { ClientContext } from '../context.ts';
import { hubIsAway } from '../hub/hub-client.ts';
import { ask } from '../hub/registry.ts';
import { installPlugin, notCome } from './index.ts';
import type { RollbackResult } from './rollback.ts';
import { readSaid, type Said, sayAgain } from './said-before.ts';

/** Of one call around a rollback, milliseconds. */
export const PATIENCE_MS = 5_000;

/**
 * Goes back to a version that is not on this disk any more, which the hub pins here. Where it does not come, what was said of the
 * plugin before (a hold, an installation) holds again.
 * @throws HaiveError ROLLBACK_UNAVAILABLE where the hub does not answer, and those of installPlugin
 */
export async function rollbackFromHub(
  ctx: ClientContext,
  name: string,
  from: string,
  to: string,
): Promise<RollbackResult> {
  let before: Said | undefined;
  try {
    before = await ask(ctx, 'machine', (hub) => readSaid(ctx, hub, name), PATIENCE_MS);
    const { version, sync, warnings } = await installPlugin(ctx, `${name}@${to}`);
    if (version !== to) throw notCome(name, sync ?? { problems: [], waiting: [] });
    return { name, from, to, pinned: true, hubTold: true, warnings: [...warnings, ...(sync?.warnings ?? [])] };
  } catch (thrown) {
    // What came stays, with what the order said, whatever went wrong behind it.
    if ((await readReceipts(ctx.machine)).plugins[name]?.version === to) throw thrown;
    const back = before === undefined || (await asBefore(ctx, before));
    if (!hubIsAway(thrown)) throw back ? thrown : pinnedTo(name, to, thrown);
    throw new HaiveError('ROLLBACK_UNAVAILABLE', `${name} ${to} is not on this disk, and the hub does not answer`, {
      cause: thrown,
      hint: `\`hv status NAME\` lists the versions that are here.${back ? '' : ` ${freed(name, to)}`}`,
    });
  }
}

/** @returns false where the hub could not be told; it may still pin the version that did not come */
async function asBefore(ctx: ClientContext, before: Said): Promise<boolean> {
  try {
    await ask(ctx, 'machine', (hub) => sayAgain(ctx, hub, before), PATIENCE_MS);
    return true;
  } catch (thrown) {
    if (thrown instanceof HaiveError) return false;
    throw thrown;
  }
}

const freed = (name: string, to: string): string =>
  `The hub may have pinned ${name} to ${to} here: \`hv install ${name}\` frees it.`;

function pinnedTo(name: string, to: string, thrown: unknown): HaiveError {
  const { code, message, hint } = toHaiveError(thrown);
  return new HaiveError(code, message, { cause: thrown, hint: `${hint} ${freed(name, to)}` });
}
