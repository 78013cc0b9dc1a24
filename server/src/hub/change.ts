import type { Transaction } from 'kysely';
import { type AuditEntry, appendAudit } from '../storage/queries/audit.ts';
import { appendEvent } from '../storage/queries/events.ts';
import type { Tables } from '../storage/tables/index.ts';
import type { HubContext, Principal } from './context.ts';

/** What a change leaves in the event feed and the audit log. Never holds secrets. */
export interface Trace {
  /** `machine.joined`: event type and audit action alike. */
  type: string;
  target: string;
  data: Record<string, unknown>;
}

/** One transaction of one change, after it took its place in the feed. */
export interface Change {
  tx: Transaction<Tables>;
  seq: number;
  /** ISO-8601. */
  at: string;
}

/**
 * Runs a change in one transaction with its event and audit row, and rings after the commit.
 */
export async function change<T>(
  hub: HubContext,
  actor: Actor,
  work: (change: Change) => Promise<{ result: T; trace: Trace }>,
): Promise<{ seq: number; result: T }> {
  const done = await hub.store.transact(async (tx) => {
    const seq = await hub.store.nextSeq(tx);
    const at = hub.clock().toISOString();
    const { result, trace } = await work({ tx, seq, at });
    await appendEvent(tx, seq, trace.type, at, { target: trace.target, ...trace.data });
    const { type: action, target, data } = trace;
    await appendAudit(tx, at, auditRow(actor, { action, target, data }));
    return { seq, result };
  });
  hub.bell.ring(done.seq);
  return done;
}

/** Who changes something. */
export type Actor = Pick<Principal, 'name' | 'tokenId' | 'address'>;

/** A row of the audit log: who did what, and from where. */
export const auditRow = (actor: Actor, { action, target, data }: Omit<AuditEntry, 'actor'>): AuditEntry => ({
  ...{ actor: actorOf(actor), action, target },
  data: actor.address === undefined ? data : { ...data, address: actor.address },
});

/** How the audit log names a caller. */
function actorOf(principal: Actor): string {
  return principal.tokenId === '' ? principal.name : `${principal.name} (${principal.tokenId})`;
}
