import type * as z from 'zod';
import type { Task } from '../../contract/collective-schemas.ts';
import {
  afterAttempt,
  candidates,
  type Demand,
  LEASE_MS,
  OFFER_FIRST_MS,
  offeredTo,
  unfit,
} from '../../domain/collective.ts';
import { HaiveError } from '../../domain/errors.ts';
import {
  findTask,
  lapsedTasks,
  openTasks,
  raiseInboxRevision,
  roleOf,
  updateTaskRow,
} from '../../storage/queries/collective.ts';
import type { TasksTable } from '../../storage/tables/collective.ts';
import type { Tx } from '../../storage/tables/index.ts';
import { isOperator } from '../auth.ts';
import type { HubContext, Principal, UseCases } from '../context.ts';
import { presentAgents } from './agents.ts';
import { callerOf, callingMachine, type InboxBell, idOfCall, list, type Writing, write } from './write.ts';

type TaskCases = Pick<UseCases, 'delegate' | 'tasks' | 'claimTask' | 'updateTask'>;
type TaskView = z.output<typeof Task>;

const ENDED = ['done', 'failed', 'cancelled'];

/** Work that one machine offers to the others: claimed by exactly one, with a lease. */
export function taskUseCases(bell: InboxBell): TaskCases {
  return {
    async delegate(hub, call) {
      const { principal, body } = call;
      const { deadline_at, ...said } = body;
      const id = idOfCall('task', call, said);
      const made = await write(hub, principal, async ({ tx, rev, at, audit }) => {
        const rank = async (row: TasksTable) => candidates(demandOf(row), await presentAgents(hub, tx, bell));
        const before = await findTask(tx, id);
        if (before !== undefined) return { row: before, ranked: await rank(before) };
        const caller = await callerOf(tx, principal);
        const { required_capabilities, groups, ...plain } = said;
        const row: TasksTable = {
          ...plain,
          id,
          rev,
          required_capabilities: JSON.stringify(required_capabilities),
          groups: JSON.stringify(groups),
          deadline_at: deadline_at === null ? null : new Date(deadline_at).toISOString(),
          status: 'open',
          from_machine_id: caller?.id ?? null,
          author: caller?.name ?? principal.name,
          claimed_by: null,
          claimed_name: null,
          attempt: 0,
          lease_until: null,
          progress: '',
          result: '',
          reason: '',
          created_at: at,
          updated_at: at,
        };
        if (row.deadline_at !== null && row.deadline_at <= at) {
          throw new HaiveError('BAD_REQUEST', 'deadline_at has passed already');
        }
        await tx.insertInto('tasks').values(row).execute();
        await raiseInboxRevision(tx);
        await audit('task.delegated', row.id, { title: row.title });
        return { row, ranked: await rank(row) };
      });
      bell.ringInbox(offeredTo(made.ranked, 0).map((m) => m.id));
      return { task: taskOf(made.row), candidates: made.ranked.map((m) => m.name) };
    },

    async tasks(hub, { principal, query }) {
      await settleTasks(hub, bell);
      const tx = hub.store.read;
      const caller = await callerOf(tx, principal);
      let select = tx.selectFrom('tasks').selectAll().orderBy('rev', 'desc').limit(5000);
      if (query.status !== undefined) select = select.where('status', '=', query.status);
      const rows = await select.execute();
      const mine = rows.filter((row) => isOperator(principal) || (caller !== null && concerns(row, caller)));
      return { tasks: mine.slice(0, query.limit).map(taskOf) };
    },

    async claimTask(hub, { principal, params }) {
      return await write(hub, principal, async (writing) => {
        const { tx, rev, at, audit } = writing;
        await settle(writing);
        const caller = await callingMachine(tx, principal);
        const row = await visibleTask(tx, principal, params.task ?? '');
        const why = unfit(demandOf(row), { ...caller, role: await roleOf(tx, caller.id) });
        if (why !== null) throw new HaiveError('NOT_ELIGIBLE', `This machine cannot take ${row.id}: ${why}`);
        if (row.status !== 'open') throw taken(row, caller.id);
        const next: TasksTable = {
          ...row,
          rev,
          status: 'claimed',
          claimed_by: caller.id,
          claimed_name: caller.name,
          attempt: row.attempt + 1,
          lease_until: leaseFrom(at),
          progress: '',
          updated_at: at,
        };
        await updateTaskRow(tx, row.id, next);
        await raiseInboxRevision(tx);
        await audit('task.claimed', row.id, { attempt: next.attempt });
        return taskOf(next);
      });
    },

    async updateTask(hub, { principal, params, body }) {
      const { row, tell } = await write(hub, principal, async (writing) => {
        const { tx, rev, at, audit } = writing;
        await settle(writing);
        const found = await visibleTask(tx, principal, params.task ?? '');
        const change =
          body.status === 'cancelled' ? cancel(found, principal, body.reason) : report(found, principal, body, at);
        const next: TasksTable = { ...found, ...change, rev, updated_at: at };
        await updateTaskRow(tx, found.id, next);
        if (next.status !== found.status) await raiseInboxRevision(tx);
        if (next.status !== found.status) await audit(`task.${next.status}`, found.id, { attempt: next.attempt });
        const open = next.status === 'open' ? candidates(demandOf(next), await presentAgents(hub, tx, bell)) : [];
        const ended = ENDED.includes(next.status) && next.from_machine_id !== null ? [next.from_machine_id] : [];
        return { row: next, tell: [...open.map((m) => m.id), ...ended] };
      });
      if (tell.length > 0) bell.ringInbox(tell);
      return taskOf(row);
    },
  };
}

/**
 * Opens again, or fails, what the clock has decided on; cheap when there is nothing.
 * @returns how many tasks that were
 */
export async function settleTasks(hub: HubContext, bell: InboxBell): Promise<number> {
  if ((await lapsedTasks(hub.store.read, hub.clock().toISOString())).length === 0) return 0;
  const nobody: Principal = { tokenId: '', name: 'hub', roles: [], machineId: null, namePattern: null };
  const settled = await write(hub, nobody, settle);
  if (settled > 0) bell.ringInbox(null);
  return settled;
}

async function settle({ tx, rev, at, audit }: Writing): Promise<number> {
  const lapsed = await lapsedTasks(tx, at);
  for (const row of lapsed) {
    const late = row.deadline_at !== null && row.deadline_at < at;
    const lost = `${row.claimed_name ?? 'nobody'} did not report within its lease`;
    const outcome = late
      ? {
          status: 'failed',
          reason: `the deadline passed${row.status === 'claimed' ? ` while ${row.claimed_name} had it` : ''}`,
        }
      : afterAttempt({ attempt: row.attempt, maxAttempts: row.max_attempts }, lost);
    const claim = { claimed_by: null, claimed_name: null, lease_until: null };
    await updateTaskRow(tx, row.id, { ...outcome, ...claim, rev, updated_at: at });
    await audit(`task.${outcome.status}`, row.id, { attempt: row.attempt, reason: outcome.reason });
  }
  if (lapsed.length > 0) await raiseInboxRevision(tx);
  return lapsed.length;
}

/**
 * Says of tasks that those who had the least to do did not take in the first moments that others may have them, too.
 * @param since milliseconds since 1970: until when that was said before
 * @returns until when it is said now
 */
export async function tellOpenTasks(hub: HubContext, bell: InboxBell, since: number): Promise<number> {
  const now = hub.clock().getTime();
  const due = (await openTasks(hub.store.read)).filter((row) => {
    const at = Date.parse(row.updated_at) + OFFER_FIRST_MS;
    return since < at && at <= now;
  });
  if (due.length === 0) return now;
  await hub.store.transact(raiseInboxRevision);
  const present = await presentAgents(hub, hub.store.read, bell);
  bell.ringInbox([...new Set(due.flatMap((row) => candidates(demandOf(row), present).map((m) => m.id)))]);
  return now;
}

/** Open tasks that a machine should be shown, the most urgent first. */
export async function offers(hub: HubContext, machineId: string, bell: InboxBell): Promise<TaskView[]> {
  const tx = hub.store.read;
  const rows = await openTasks(tx);
  if (rows.length === 0) return [];
  const present = await presentAgents(hub, tx, bell);
  const now = hub.clock().getTime();
  return rows
    .filter((row) => row.from_machine_id !== machineId || row.machine !== null)
    .filter((row) => {
      const ranked = candidates(demandOf(row), present);
      return offeredTo(ranked, now - Date.parse(row.updated_at)).some((m) => m.id === machineId);
    })
    .map(taskOf);
}

function cancel(row: TasksTable, principal: Principal, reason = ''): Partial<TasksTable> {
  if (!isOperator(principal) && (row.from_machine_id === null || row.from_machine_id !== principal.machineId)) {
    throw new HaiveError('FORBIDDEN', `Only ${row.author} or an operator cancels ${row.id}`);
  }
  if (ENDED.includes(row.status)) throw taken(row, principal.machineId);
  return { status: 'cancelled', reason, lease_until: null };
}

type Update = Parameters<UseCases['updateTask']>[1]['body'];

function report(row: TasksTable, principal: Principal, body: Update, at: string): Partial<TasksTable> {
  if (body.attempt === undefined)
    throw new HaiveError('BAD_REQUEST', 'attempt is missing: the one that the claim answered');
  const holds = row.status === 'claimed' && row.claimed_by === principal.machineId && row.attempt === body.attempt;
  if (!holds) {
    throw new HaiveError('TASK_NOT_YOURS', `Attempt ${body.attempt} of ${row.id} is over; the task is ${row.status}`, {
      details: { status: row.status, attempt: row.attempt },
    });
  }
  const progress = body.progress ?? row.progress;
  switch (body.status) {
    case 'done':
      return { status: 'done', progress, result: body.result ?? '', reason: '', lease_until: null };
    case 'failed':
      if (!body.reason) throw new HaiveError('BAD_REQUEST', 'A failed task needs a reason');
      return { status: 'failed', progress, result: body.result ?? '', reason: body.reason, lease_until: null };
    case 'released': {
      const why = `${row.claimed_name} gave it back${body.reason ? `: ${body.reason}` : ''}`;
      const outcome = afterAttempt({ attempt: row.attempt, maxAttempts: row.max_attempts }, why);
      return { ...outcome, progress, claimed_by: null, claimed_name: null, lease_until: null };
    }
    default:
      return { progress, lease_until: leaseFrom(at) };
  }
}

const leaseFrom = (at: string): string => new Date(Date.parse(at) + LEASE_MS).toISOString();

function taken(row: TasksTable, machineId: string | null): HaiveError {
  const mine = row.claimed_by !== null && row.claimed_by === machineId;
  const who = row.status === 'claimed' ? ` by ${mine ? 'this machine' : row.claimed_name}` : '';
  return new HaiveError('TASK_TAKEN', `${row.id} is ${row.status}${who}`, {
    details: { status: row.status, mine, attempt: row.attempt },
  });
}

/** @throws HaiveError TASK_NOT_FOUND */
async function visibleTask(tx: Tx, principal: Principal, id: string): Promise<TasksTable> {
  const row = await findTask(tx, id);
  const caller = await callerOf(tx, principal);
  if (row !== undefined && (isOperator(principal) || (caller !== null && concerns(row, caller)))) return row;
  throw new HaiveError('TASK_NOT_FOUND', `There is no task ${id}`);
}

/** A task is seen by who delegated it, who has it, and whoever its groups and machine name. */
function concerns(row: TasksTable, caller: { id: string; name: string; groups: readonly string[] }): boolean {
  if (row.from_machine_id === caller.id || row.claimed_by === caller.id) return true;
  const demand = { ...demandOf(row), requiredCapabilities: [], role: null };
  return unfit(demand, { ...caller, capabilities: [] }) === null;
}

function demandOf(row: TasksTable): Demand {
  return {
    requiredCapabilities: list(row.required_capabilities),
    groups: list(row.groups),
    machine: row.machine,
    role: row.role,
  };
}

/** A row as the contract has it. */
export function taskOf(row: TasksTable): TaskView {
  return {
    id: row.id,
    title: row.title,
    description: row.description,
    required_capabilities: list(row.required_capabilities),
    groups: list(row.groups),
    machine: row.machine,
    role: row.role,
    priority: row.priority,
    status: row.status as TaskView['status'],
    from: row.author,
    claimed_by: row.claimed_name,
    attempt: row.attempt,
    max_attempts: row.max_attempts,
    lease_until: row.lease_until,
    deadline_at: row.deadline_at,
    progress: row.progress,
    result: row.result,
    reason: row.reason,
    created_at: row.created_at,
    updated_at: row.updated_at,
  };
}
