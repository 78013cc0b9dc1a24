import type { BodyIn, Reply } from '../../contract/endpoints.ts';
import { LEASE_MS } from '../../domain/collective.ts';
import { HaiveError } from '../../domain/errors.ts';
import type { ClientContext } from '../context.ts';
import { hubIsAway } from '../hub/hub-client.ts';
import { ask } from '../hub/registry.ts';
import { askOnce } from './ask-once.ts';
import { acknowledge } from './inbox.ts';
import { askAsMember } from './member.ts';

type Task = Reply<'claimTask'>;

/** Claims of this process, whose leases it renews while it lives. */
const kept = new Map<string, NodeJS.Timeout>();

/** Offers a task. @throws HaiveError of the hub */
export function delegateTask(ctx: ClientContext, body: BodyIn<'delegate'>): Promise<Reply<'delegate'>> {
  return askOnce(ctx, 'delegate', body);
}

/**
 * Tasks that concern the caller. Reading how an own one ended is taking notice of it.
 * @throws HaiveError of the hub
 */
export async function listTasks(
  ctx: ClientContext,
  query: { status?: Task['status'] | undefined; limit?: number | undefined },
): Promise<Task[]> {
  const { tasks } = await askAsMember(ctx, (hub) => hub.call('tasks', { query }));
  const me = ctx.config.machine?.name;
  const news = tasks.filter((t) => t.from === me && (t.status === 'done' || t.status === 'failed')).map((t) => t.id);
  if (ctx.config.token !== undefined && news.length > 0) await acknowledge(ctx, news).catch(() => 0);
  return tasks;
}

/**
 * Takes a task for this machine, and renews its lease while this process lives.
 * @throws HaiveError NOT_JOINED, TASK_NOT_FOUND, TASK_TAKEN, NOT_ELIGIBLE
 */
export async function claimTask(ctx: ClientContext, id: string, renewMs = LEASE_MS / 4): Promise<Task> {
  const task = await ask(ctx, 'machine', (hub) => hub.call('claimTask', { params: { task: id } }));
  renew(ctx, task, renewMs);
  return task;
}

/**
 * Reports on a task, ends it, gives it back or cancels it.
 * @throws HaiveError TASK_NOT_FOUND, TASK_NOT_YOURS, FORBIDDEN, BAD_REQUEST
 */
export async function updateTask(ctx: ClientContext, id: string, body: BodyIn<'updateTask'>): Promise<Task> {
  const task = await askAsMember(ctx, (hub) => hub.call('updateTask', { params: { task: id }, body }));
  if (task.status !== 'claimed') stopRenewing(id);
  return task;
}

function renew(ctx: ClientContext, task: Task, everyMs: number): void {
  stopRenewing(task.id);
  const timer = setInterval(() => {
    const body = { attempt: task.attempt };
    ask(ctx, 'machine', (hub) => hub.call('updateTask', { params: { task: task.id }, body })).catch((thrown) => {
      if (thrown instanceof HaiveError && !hubIsAway(thrown)) stopRenewing(task.id);
    });
  }, everyMs);
  timer.unref();
  kept.set(task.id, timer);
}

function stopRenewing(id: string): void {
  clearInterval(kept.get(id));
  kept.delete(id);
}
