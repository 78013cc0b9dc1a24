import { HaiveError } from '../../domain/errors.ts';
import type { Plan } from '../../domain/plan/index.ts';
import { applyChange } from '../../machine/change/transaction.ts';
import { statOf } from '../../machine/files/file-port.ts';
import { knownRevoked, quarantine } from '../../machine/quarantine.ts';
import { type Receipts, readReceipts } from '../../machine/receipts/index.ts';
import type { ClientContext } from '../context.ts';
import type { HubClient } from '../hub/hub-client.ts';
import { sendReport } from '../report/index.ts';
import { rememberRevokedKeys } from '../trust/publisher-keys.ts';
import { openVetting } from '../trust/vet.ts';
import type { SyncOptions } from './options.ts';
import { pick } from './pick.ts';

/** Digests that may not run here, and why. */
type Banned = ReadonlyMap<string, string>;

/** Those of the plugins whose installed version may not run here. */
export const bannedOf = (names: readonly string[], { plugins }: Receipts, banned: Banned): string[] =>
  names.filter((name) => banned.has(plugins[name]?.digest ?? ''));

/**
 * Takes away what may not run here (revoked, forbidden) where a sync failed that would have done it along with the rest; also where
 * its new version did not come. What cannot be done either is left to the next sync: the first failure is the one to tell.
 * @returns whether a plugin went
 */
export async function takeBanned(
  ctx: ClientContext,
  plan: Plan,
  options: SyncOptions,
  banned: Banned,
  failure: HaiveError,
): Promise<boolean> {
  const { machine } = ctx;
  try {
    const receipts = await readReceipts(machine);
    const lost = bannedOf(Object.keys(receipts.plugins), receipts, banned);
    // A change that was begun is finished by the next run as it is.
    if (lost.length === 0 || statOf(machine.paths.journal) !== null) return false;
    const none = new Map(plan.plugins.map((entry) => [entry.digest, failure]));
    const picked = await pick(ctx, plan, receipts, options, none, banned);
    const remove = bannedOf(picked.remove, receipts, banned);
    if (remove.length > 0) await applyChange(machine, { install: [], remove, reason: 'sync', layout: receipts.layout });
    await quarantine(machine, await knownRevoked(machine));
    return remove.length > 0;
  } catch (thrown) {
    if (!(thrown instanceof HaiveError)) throw thrown;
    return false;
  }
}

/** Of a plan that may not be followed before the hub has heard all: what may not run here goes all the same, and the hub is told of that. */
export async function takeBannedAlone(
  { ctx, hub, options, signal }: { ctx: ClientContext; hub: HubClient; options: SyncOptions; signal: AbortSignal },
  plan: Plan,
  failure: HaiveError,
): Promise<void> {
  try {
    const { banned } = await openVetting(ctx, plan, await readReceipts(ctx.machine), options);
    await rememberRevokedKeys(ctx.machine, plan.hub, plan.revokedKeys ?? []);
    if (await takeBanned(ctx, plan, options, banned, failure)) await sendReport(ctx, hub, { signal });
  } catch (thrown) {
    // The first failure is the one to tell.
    if (!(thrown instanceof HaiveError)) throw thrown;
  }
}
