import { claimTask, delegateTask, listTasks, updateTask } from '../../../client/collective/tasks.ts';
import { TaskStatus } from '../../../contract/collective-schemas.ts';
import type { Reply } from '../../../contract/endpoints.ts';
import { HaiveError } from '../../../domain/errors.ts';
import { clean, shorten, table } from '../output.ts';
import type { Verb, VerbCall, VerbOutput } from '../verb.ts';
import { argument, choiceOption, countOption, laterOption, listOption } from './options.ts';

type Task = Reply<'claimTask'>;

export const delegate: Verb = async (call) => {
  const { options, style } = call;
  const priority = countOption(options.priority, 'priority');
  const attempts = countOption(options.attempts, 'attempts');
  const made = await delegateTask(await call.open(), {
    title: call.rest.join(' '),
    description: options.description ?? '',
    machine: options.to ?? null,
    role: options.role ?? null,
    groups: listOption(options.groups, 'groups') ?? [],
    required_capabilities: listOption(options.needs, 'needs') ?? [],
    deadline_at: laterOption(options.hours, 'hours', 1) ?? null,
    ...(priority === undefined ? {} : { priority }),
    ...(attempts === undefined ? {} : { max_attempts: attempts }),
  });
  const who =
    made.candidates.length === 0
      ? style.yellow('no machine can take it now; `hv roster` says who can do what')
      : `may be taken by ${made.candidates.map(clean).join(', ')}`;
  return { json: made, text: `${style.green('✓')} ${made.task.id} is open: ${who}` };
};

const REPORTS: Record<string, (text: string) => Parameters<typeof updateTask>[2]> = {
  progress: (text) => ({ progress: text }),
  done: (text) => ({ status: 'done', result: text }),
  fail: (text) => ({ status: 'failed', reason: text }),
  release: (text) => ({ status: 'released', reason: text }),
};

export const tasks: Verb = async (call) => {
  const [action = 'list'] = call.args;
  const { options, style } = call;
  const ctx = await call.open();
  if (action === 'list') {
    const status = choiceOption(options.status, 'status', TaskStatus.options);
    const found = await listTasks(ctx, { status, limit: countOption(options.limit, 'limit') ?? 50 });
    const head = ['TASK', 'STATUS', 'FROM', 'BY', 'TITLE', 'SAYS'];
    return { json: { tasks: found }, text: found.length === 0 ? 'No task.' : table(head, found.map(rowOf), style) };
  }
  if (action === 'take') {
    const task = await claimTask(ctx, argument(call, 1, 'task'));
    const lines = [
      `${style.green('✓')} ${task.id} is this machine's until ${task.lease_until} unless it reports: hv tasks progress ${task.id} …`,
      `${style.dim(`what ${clean(task.from)} writes:`)} ${clean(task.title)}`,
      ...(task.description === '' ? [] : [clean(task.description)]),
    ];
    return { json: task, text: lines.join('\n') };
  }
  const report = Object.hasOwn(REPORTS, action) ? REPORTS[action] : undefined;
  if (report === undefined && action !== 'cancel') {
    throw new HaiveError('USAGE', `hv tasks ${action} is not known`, {
      hint: 'Use list, take, progress, done, fail, release or cancel.',
    });
  }
  const id = argument(call, 1, 'task');
  const text = call.rest.join(' ');
  if (report === undefined) return said(call, await updateTask(ctx, id, { status: 'cancelled', reason: text }));
  if (action === 'fail' && text === '') throw new HaiveError('USAGE', 'Say why it failed: hv tasks fail ID WHY');
  // The number of the claim is the program's business, not the person's.
  const mine = (await listTasks(ctx, { status: 'claimed', limit: 500 })).find((task) => task.id === id);
  if (mine === undefined) throw new HaiveError('TASK_NOT_YOURS', `${id} is no task that this machine has`);
  return said(call, await updateTask(ctx, id, { attempt: mine.attempt, ...report(text) }));
};

function said({ style }: VerbCall, task: Task): VerbOutput {
  return { json: task, text: `${style.green('✓')} ${task.id} is ${task.status}` };
}

function rowOf(t: Task): string[] {
  const says = t.status === 'done' ? t.result : t.reason || t.progress;
  return [
    t.id,
    t.status,
    clean(t.from),
    t.claimed_by === null ? '-' : clean(t.claimed_by),
    shorten(t.title, 50),
    shorten(says, 60),
  ];
}
