import { createHash, randomBytes } from 'node:crypto';
import type { Transaction } from 'kysely';
import { KEY_HEADER } from '../../contract/headers.ts';
import type { Member } from '../../domain/collective.ts';
import { HaiveError } from '../../domain/errors.ts';
import { appendAudit } from '../../storage/queries/audit.ts';
import { nextRevision } from '../../storage/queries/collective.ts';
import { findMachine } from '../../storage/queries/machines.ts';
import type { Tables, Tx } from '../../storage/tables/index.ts';
import { auditRow } from '../change.ts';
import type { HubContext, Principal } from '../context.ts';

/** Tells machines, wherever they are connected, that their inbox may have changed. */
export interface InboxBell {
  /** @param machineIds null: all */
  ringInbox(machineIds: readonly string[] | null): void;
  isConnected(machineId: string): boolean;
}

export interface Writing {
  tx: Transaction<Tables>;
  rev: number;
  /** ISO-8601. */
  at: string;
  /** Leaves a row in the audit log. */
  audit(action: string, target: string, data: Record<string, unknown>): Promise<void>;
}

/** Runs one change of the collective's data in a transaction; such changes come one after another, on all hub processes. */
export async function write<T>(hub: HubContext, actor: Principal, work: (writing: Writing) => Promise<T>): Promise<T> {
  return await hub.store.transact(async (tx) => {
    const rev = await nextRevision(tx);
    const at = hub.clock().toISOString();
    const audit: Writing['audit'] = (action, target, data) =>
      appendAudit(tx, at, auditRow(actor, { action, target, data }));
    return await work({ tx, rev, at, audit });
  });
}

/** Who calls: a machine, or null for an operator who sits at none. @throws HaiveError MACHINE_NOT_FOUND */
export async function callerOf(tx: Tx, principal: Principal): Promise<Member | null> {
  if (principal.machineId === null) return null;
  const machine = await findMachine(tx, principal.machineId);
  if (machine === undefined) throw new HaiveError('MACHINE_NOT_FOUND', 'This machine is not known here any more');
  return machine;
}

/** The machine that calls. @throws HaiveError NOT_JOINED for a token that is no machine's, MACHINE_NOT_FOUND */
export async function callingMachine(tx: Tx, principal: Principal): Promise<Member> {
  const caller = await callerOf(tx, principal);
  if (caller === null) throw new HaiveError('NOT_JOINED', 'Only a machine does this, with its own token');
  return caller;
}

/** An id that nobody guesses: `mem_…`, `msg_…`, `task_…`. */
export function newId(kind: 'mem' | 'msg' | 'task'): string {
  return `${kind}_${randomBytes(12).toString('base64url')}`;
}

/** The id of what a call makes: a new one, or under an idempotency key the same whenever the same caller says the same. */
export function idOfCall(
  kind: 'mem' | 'msg' | 'task',
  call: { principal: Principal; header(name: string): string | undefined },
  said: unknown,
): string {
  const key = call.header(KEY_HEADER);
  if (key === undefined) return newId(kind);
  const whole = JSON.stringify([call.principal.tokenId, key, said]);
  return `${kind}_${createHash('sha256').update(whole).digest('base64url').slice(0, 24)}`;
}

export const list = (json: string): string[] => JSON.parse(json) as string[];
