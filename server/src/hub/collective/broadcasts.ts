import type * as z from 'zod';
import type { Broadcast } from '../../contract/collective-schemas.ts';
import { addressed } from '../../domain/collective.ts';
import { HaiveError } from '../../domain/errors.ts';
import {
  acknowledge,
  acknowledgedOf,
  acknowledgementCounts,
  broadcastTimes,
  currentBroadcasts,
  findBroadcast,
  raiseInboxRevision,
} from '../../storage/queries/collective.ts';
import { allMachines } from '../../storage/queries/machines.ts';
import type { BroadcastsTable } from '../../storage/tables/collective.ts';
import type { Tx } from '../../storage/tables/index.ts';
import { isOperator } from '../auth.ts';
import type { HubContext, UseCases } from '../context.ts';
import { callerOf, callingMachine, type InboxBell, idOfCall, list, write } from './write.ts';

/** How many broadcasts one sender may make in the window. */
const BROADCAST_LIMIT = 10;
const BROADCAST_WINDOW_MS = 10 * 60_000;

type Cases = Pick<UseCases, 'broadcast' | 'broadcasts' | 'acknowledgeBroadcasts'>;

/** What one machine tells the others at once. */
export function broadcastUseCases(bell: InboxBell): Cases {
  return {
    async broadcast(hub, call) {
      const { principal, body } = call;
      const { expires_in_hours, groups, ...plain } = body;
      const id = idOfCall('msg', call, body);
      const { row, to } = await write(hub, principal, async ({ tx, rev, at, audit }) => {
        const caller = await callerOf(tx, principal);
        const author = caller?.name ?? principal.name;
        const before = await findBroadcast(tx, id);
        if (before === undefined) await holdToRate(tx, author, at);
        const machines = await allMachines(tx);
        const to = machines.filter((m) => m.id !== caller?.id && addressed(groups, m)).map((m) => m.id);
        if (before !== undefined) return { row: before, to };
        const made: BroadcastsTable = {
          ...plain,
          id,
          rev,
          groups: JSON.stringify([...new Set(groups)]),
          machine_id: caller?.id ?? null,
          author,
          created_at: at,
          expires_at: new Date(Date.parse(at) + expires_in_hours * 3600_000).toISOString(),
        };
        await tx.insertInto('broadcasts').values(made).execute();
        await raiseInboxRevision(tx);
        await audit('broadcast.sent', made.id, { severity: made.severity, category: made.category, groups });
        return { row: made, to };
      });
      bell.ringInbox(body.groups.length === 0 ? null : to);
      return { ...broadcastOf(row, false, 0), machines: to.length };
    },

    async broadcasts(hub, { principal, query }) {
      const all = await broadcastsFor(hub, principal.machineId, isOperator(principal));
      const wanted = all
        .filter((b) => query.category === undefined || b.category === query.category)
        .filter((b) => query.severity === undefined || b.severity === query.severity)
        .filter((b) => query.unacknowledged !== true || !b.acknowledged);
      return { broadcasts: wanted.slice(0, query.limit).map(({ own: _, ...b }) => b) };
    },

    async acknowledgeBroadcasts(hub, { principal, body }) {
      return await write(hub, principal, async ({ tx, at }) => {
        const { id } = await callingMachine(tx, principal);
        const known = await knownItems(tx, body.ids);
        await acknowledge(tx, id, known, at);
        await raiseInboxRevision(tx);
        return { acknowledged: known.length };
      });
    },
  };
}

/**
 * Broadcasts that a machine should know of, newest first; everybody's for an operator.
 * @throws HaiveError MACHINE_NOT_FOUND
 */
export async function broadcastsFor(
  hub: HubContext,
  machineId: string | null,
  everybodys: boolean,
): Promise<(z.output<typeof Broadcast> & { own: boolean })[]> {
  const tx = hub.store.read;
  const rows = await currentBroadcasts(tx, hub.clock().toISOString());
  const caller =
    machineId === null ? null : await callerOf(tx, { tokenId: '', name: '', roles: [], machineId, namePattern: null });
  const mine = rows.filter(
    (r) => everybodys || (caller !== null && (r.machine_id === caller.id || addressed(list(r.groups), caller))),
  );
  const ids = mine.map((r) => r.id);
  const done = caller === null ? new Set<string>() : await acknowledgedOf(tx, caller.id, ids);
  const counts = await acknowledgementCounts(tx, ids);
  return mine.map((r) => ({
    ...broadcastOf(r, done.has(r.id), counts.get(r.id) ?? 0),
    own: r.machine_id !== null && r.machine_id === machineId,
  }));
}

async function holdToRate(tx: Tx, author: string, at: string): Promise<void> {
  const now = Date.parse(at);
  const times = await broadcastTimes(tx, author, new Date(now - BROADCAST_WINDOW_MS).toISOString());
  const oldest = times.at(-BROADCAST_LIMIT);
  if (oldest === undefined) return;
  const wait = Math.max(1, Math.ceil((Date.parse(oldest) + BROADCAST_WINDOW_MS - now) / 1000));
  throw new HaiveError('RATE_LIMITED', `${author} has broadcast ${BROADCAST_LIMIT} times in ten minutes`, {
    hint: `Put the rest into one message, or wait ${wait} s.`,
    details: { retry_after_s: wait },
  });
}

async function knownItems(tx: Tx, ids: readonly string[]): Promise<string[]> {
  const broadcasts = await tx
    .selectFrom('broadcasts')
    .select('id')
    .where('id', 'in', [...ids])
    .execute();
  const tasks = await tx
    .selectFrom('tasks')
    .select('id')
    .where('id', 'in', [...ids])
    .execute();
  return [...broadcasts, ...tasks].map((r) => r.id);
}

function broadcastOf(row: BroadcastsTable, acknowledged: boolean, by: number): z.output<typeof Broadcast> {
  return {
    id: row.id,
    content: row.content,
    category: row.category,
    severity: row.severity as z.output<typeof Broadcast>['severity'],
    groups: list(row.groups),
    machine: row.author,
    created_at: row.created_at,
    expires_at: row.expires_at,
    acknowledged,
    acknowledged_by: by,
  };
}
