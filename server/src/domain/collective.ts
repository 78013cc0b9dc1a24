import { HaiveError } from './errors.ts';

/** Rules of the collective: who may read, who is told, who may do a task. Pure. */

/** Milliseconds that a claim holds without a sign of life from the claimant. */
export const LEASE_MS = 10 * 60_000;
/** Milliseconds in which a new task is offered only to the machines with the least to do. */
export const OFFER_FIRST_MS = 30_000;

export interface Member {
  id: string;
  name: string;
  groups: readonly string[];
  capabilities: readonly string[];
  /** What the machine says it is for; empty or absent: nothing was said. */
  role?: string;
}

export interface Readable {
  visibility: string;
  groups: readonly string[];
  machineId: string | null;
}

/** Whether groups name this member; none means everybody. */
export function addressed(groups: readonly string[], member: Pick<Member, 'groups'>): boolean {
  return groups.length === 0 || groups.some((g) => member.groups.includes(g));
}

/** Whether a machine may read a memory that the hub keeps. */
export function mayRead(memory: Readable, member: Member): boolean {
  if (memory.visibility === 'collective' || memory.machineId === member.id) return true;
  return memory.visibility === 'groups' && memory.groups.some((g) => member.groups.includes(g));
}

/**
 * For whom a memory is to be; naming groups makes it theirs.
 * @returns undefined where neither says anything
 * @throws HaiveError BAD_REQUEST where the groups contradict the visibility
 */
export function audienceOf<V extends string>(
  visibility: V | undefined,
  groups: readonly string[] = [],
): V | 'groups' | undefined {
  if (groups.length === 0 || visibility === 'groups') return visibility;
  if (visibility === undefined) return 'groups';
  throw new HaiveError('BAD_REQUEST', `A memory of visibility ${visibility} is not for groups (${groups.join(', ')})`, {
    hint: 'Use visibility groups, or name no groups.',
  });
}

export interface Demand {
  requiredCapabilities: readonly string[];
  groups: readonly string[];
  machine: string | null;
  role: string | null;
}

/** Why a machine cannot do a task; null when it can. */
export function unfit(task: Demand, member: Member): string | null {
  if (task.machine !== null && task.machine !== member.name) return `it is for ${task.machine}`;
  if (!addressed(task.groups, member)) return `it is for the groups ${task.groups.join(', ')}`;
  if (task.role !== null && task.role.toLowerCase() !== (member.role ?? '').toLowerCase())
    return `it is for the role ${task.role}, ${member.name} ${member.role ? `is ${member.role}` : 'has none'}`;
  const lacking = task.requiredCapabilities.filter((c) => !member.capabilities.includes(c));
  return lacking.length === 0 ? null : `${member.name} lacks ${lacking.join(', ')}`;
}

export type Candidate = Member & { online: boolean; load: number };

/** The machines that can do a task, best first: those that are there, then those with the least to do. */
export function candidates<T extends Candidate>(task: Demand, members: readonly T[]): T[] {
  return members
    .filter((m) => unfit(task, m) === null)
    .sort((a, b) => Number(b.online) - Number(a.online) || a.load - b.load || (a.name < b.name ? -1 : 1));
}

/**
 * Whom of the candidates a task is shown to: first only those present with the least to do, after a while all.
 * @param openMs milliseconds since the task became open
 */
export function offeredTo<T extends Candidate>(ranked: readonly T[], openMs: number): readonly T[] {
  const [best] = ranked;
  if (best === undefined || !best.online || openMs >= OFFER_FIRST_MS) return ranked;
  return ranked.filter((m) => m.online && m.load === best.load);
}

/** What becomes of a claimed task whose claimant was not heard of in time, or that it gave back. */
export function afterAttempt(
  task: { attempt: number; maxAttempts: number },
  why: string,
): { status: 'open' | 'failed'; reason: string } {
  if (task.attempt < task.maxAttempts) return { status: 'open', reason: why };
  return { status: 'failed', reason: `gave up after ${task.attempt} attempts; the last: ${why}` };
}

/** Text from elsewhere on one line, without control characters, at most `max` characters. */
export function oneLine(text: string, max: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: taking them out is the point
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+/g, ' ');
  const flat = clean.replace(/\s+/g, ' ').trim();
  return flat.length <= max ? flat : `${flat.slice(0, max - 1)}…`;
}
