import type { Reply } from '../../contract/endpoints.ts';
import { HaiveError } from '../../domain/errors.ts';
import { withLock } from '../../machine/processes/lock.ts';
import { type Receipts, readReceipts, updateReceipts } from '../../machine/receipts/index.ts';
import type { ClientContext } from '../context.ts';
import type { HubClient } from '../hub/hub-client.ts';
import { keptRemovals, unspool } from '../report/spool.ts';
import { fetchPlan } from '../sync/plan.ts';

/** What was said of a plugin on this machine before, which an order to install or update it puts out of force. */

/** Takes back the hold that a rollback left, here and at the hub; what else was said stays. @returns whether there was one */
export async function releaseHold(ctx: ClientContext, hub: HubClient, name: string): Promise<boolean> {
  if ((await readReceipts(ctx.machine)).holds[name] === undefined) return false;
  // Where the plan that comes of it is refused, nothing is taken back.
  await fetchPlan(ctx, hub);
  const params = { machine: 'me', name };
  const { overrides } = await hub.call('machine', { params: { machine: 'me' } });
  if (overrides.some((o) => o.name === name && o.kind === 'hold')) {
    await hub.call('clearOverride', { params, query: { kind: 'hold' } });
  }
  await forgetHold(ctx, name);
  return true;
}

/** What to throw where the plan of an order was refused, and the hub is too old to have asked before it took the order down. */
export function stillOrdered(thrown: unknown, order: string): unknown {
  if (!(thrown instanceof HaiveError) || thrown.code !== 'PLAN_REPLAYED') return thrown;
  const rest = `the hub keeps the order (${order}), and it is carried out once its plans are followed here`;
  return new HaiveError('PLAN_REPLAYED', `${thrown.message}; ${rest}`, { cause: thrown });
}

/** What is said of one plugin on this machine. */
export interface Said {
  name: string;
  hold: Receipts['holds'][string] | undefined;
  overrides: Reply<'machine'>['overrides'];
}

/** Reads what is said of a plugin here and at the hub, for an order that may fail. @throws HaiveError of the call */
export async function readSaid(ctx: ClientContext, hub: HubClient, name: string): Promise<Said> {
  const { overrides } = await hub.call('machine', { params: { machine: 'me' } });
  const hold = (await readReceipts(ctx.machine)).holds[name];
  return { name, hold, overrides: overrides.filter((o) => o.name === name) };
}

/**
 * Says it again after an order that came to nothing; what the order said instead is taken back.
 * @throws HaiveError of the calls, LOCKED, and those of files
 */
export async function sayAgain(ctx: ClientContext, hub: HubClient, { name, hold, overrides }: Said): Promise<void> {
  const params = { machine: 'me', name };
  // The hub may not have heard of the hold yet.
  const held = hold === undefined ? [] : [{ kind: 'hold' as const, range: hold.version }];
  const others = overrides.filter((o) => held.length === 0 || o.kind !== 'hold');
  // A wish before the order's own goes: at no moment is the plugin wanted by nobody, and taken away.
  for (const { kind, range } of [...others, ...held]) {
    await hub.call('setOverride', { params, body: { kind, range } });
  }
  if (!overrides.some((o) => o.kind === 'install')) {
    await hub.call('clearOverride', { params, query: { kind: 'install' } });
  }
  if (hold !== undefined) await withLock(ctx.machine, 'hold again', () => putHolds(ctx, { [name]: hold }));
}

/** Puts holds back here alone, of what is still what was held. The lock must be held. */
export async function putHolds({ machine }: ClientContext, holds: Receipts['holds']): Promise<void> {
  await updateReceipts(machine, (receipts) => {
    for (const [name, hold] of Object.entries(holds)) {
      if (receipts.plugins[name]?.digest === hold.digest) receipts.holds[name] = hold;
    }
  });
}

/** Takes the hold back here alone, where the hub has done so already. */
export async function forgetHold(ctx: ClientContext, name: string): Promise<void> {
  if ((await readReceipts(ctx.machine)).holds[name] === undefined) return;
  await withLock(ctx.machine, 'release hold', () => dropHolds(ctx, [name]));
}

/** The same of several, where the lock is held. @returns those that were there */
export async function dropHolds({ machine }: ClientContext, names: readonly string[]): Promise<Receipts['holds']> {
  const { holds } = await readReceipts(machine);
  const dropped = Object.fromEntries(Object.entries(holds).filter(([name]) => names.includes(name)));
  if (Object.keys(dropped).length === 0) return dropped;
  await updateReceipts(machine, (receipts) => {
    for (const name of names) delete receipts.holds[name];
  });
  return dropped;
}

/** A removal that the hub has not heard of yet would undo what is ordered now. */
export async function withdrawRemoval({ machine }: ClientContext, name: string): Promise<void> {
  const kept = await keptRemovals(machine, name);
  if (kept.length === 0) return;
  await withLock(machine, 'install', async () => {
    for (const note of kept) await unspool(machine, note);
  });
}
