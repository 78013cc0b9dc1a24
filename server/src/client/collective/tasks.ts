import type { BodyIn, Reply } from '../../contract/endpoints.ts';
import { LEASE_MS } from '../../domain/collective.ts';
import { HaiveError } from '../../domain/errors.ts';
import type { ClientContext } from '../context.ts';
import { hubIsAway, isCut } from '../hub/hub-client.ts';
import { ask } from '../hub/registry.ts';
import { askOnce } from './ask-once.ts';
import { acknowledge } from './inbox.ts';
import { askAsMember } from './member.ts';

type Task = Reply<'claimTask'>;

/** Claims of this process, whose leases it renews while it lives. */
const kept = new Map<string, NodeJS.Timeout>();
/** Tasks that this process claimed without hearing whether it has them. */
const unheard = new Set<string>();
const RENEW_MS = LEASE_MS / 4;

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
 * Takes a task for this machine, and renews its lease while this process lives. Made again after no answer came, it is the
 * same claim where the first one arrived.
 * @throws HaiveError NOT_JOINED, TASK_NOT_FOUND, TASK_TAKEN, NOT_ELIGIBLE
 */
export async function claimTask(ctx: ClientContext, id: string, renewMs = RENEW_MS): Promise<Task> {
  try {
    const task = await ask(ctx, 'machine', (hub) => hub.call('claimTask', { params: { task: id } }));
    unheard.delete(id);
    renew(ctx, task, renewMs);
    return task;
  } catch (thrown) {
    if (isCut(thrown)) unheard.add(id);
    if (!(thrown instanceof HaiveError)) throw thrown;
    const { code, message, details = {} } = thrown;
    if (code === 'TIMEOUT') {
      const hint = 'This machine may have it all the same: the same call, made again in this session, says so.';
      throw new HaiveError(code, message, { cause: thrown, hint });
    }
    if (code !== 'TASK_TAKEN' || !unheard.delete(id)) throw thrown;
    if (details.mine !== true || typeof details.attempt !== 'number') throw thrown;
    return await updateTask(ctx, id, { attempt: details.attempt }, renewMs);
  }
}

/**
 * Reports on a task, ends it, gives it back or cancels it. While it is held its lease is renewed, whatever process claimed it.
 * @throws HaiveError TASK_NOT_FOUND, TASK_NOT_YOURS, FORBIDDEN, BAD_REQUEST
 */
export async function updateTask(
  ctx: ClientContext,
  id: string,
  body: BodyIn<'updateTask'>,
  renewMs = RENEW_MS,
): Promise<Task> {
  const task = await askAsMember(ctx, (hub) => hub.call('updateTask', { params: { task: id }, body }));
  if (task.status !== 'claimed') stopRenewing(id);
  else if (!kept.has(id)) renew(ctx, task, renewMs);
  return task;
}

function renew(ctx: ClientContext, task: Task, everyMs: number): void {
  stopRenewing(task.id);
  const timer = setInterval(() => {
    const body = { attempt: task.attempt };
    ask(ctx, 'machine', (hub) => hub.call('updateTask', { params: { task: task.id }, body })).catch((thrown) => {
      // a late answer to an earlier renewal says nothing of this one
      if (thrown instanceof HaiveError && !hubIsAway(thrown) && kept.get(task.id) === timer) stopRenewing(task.id);
    });
  }, everyMs);
  timer.unref();
  kept.set(task.id, timer);
}

function stopRenewing(id: string): void {
  clearInterval(kept.get(id));
  kept.delete(id);
}
