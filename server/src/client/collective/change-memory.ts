import type { BodyIn } from '../../contract/endpoints.ts';
import { audienceOf } from '../../domain/collective.ts';
import { HaiveError } from '../../domain/errors.ts';
import { changePrivateMemories, type PrivateMemory } from '../../machine/private-memories.ts';
import type { ClientContext } from '../context.ts';
import { askAsMember } from './member.ts';
import { type MemoryItem, type NewMemory, staysHere, storeMemory } from './memory.ts';
import { isOwn, itemOf, ownIdOf, ownMemories } from './own-memories.ts';

/** Only what is given changes. */
export type MemoryEdit = Omit<NewMemory, 'content'> & { content?: string | undefined };

/** What of an edit is kept the same way here and at the hub. */
type Fields = Partial<Pick<PrivateMemory, 'content' | 'category' | 'tags' | 'project' | 'importance' | 'expires_at'>>;

/**
 * Changes a memory. One that becomes private or confidential is taken from the hub and kept here, one that is shared the
 * other way round, both under another id; where only the last step failed, the error names the id under `kept`.
 * @throws HaiveError MEMORY_NOT_FOUND, FORBIDDEN, MEMORY_STAYS_HERE, BAD_REQUEST (groups against visibility), and what the hub says
 */
export async function updateMemory(ctx: ClientContext, id: string, edit: MemoryEdit): Promise<MemoryItem> {
  const { confidentiality, visibility, groups: named = [], ...rest } = edit;
  const fields = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)) as Fields;
  const groups = named.length > 0 ? named : undefined;
  const audience = audienceOf(visibility, groups);
  const shares = audience === 'groups' || audience === 'collective';
  const marked = confidentiality !== undefined && confidentiality !== 'normal';
  if (shares && marked) throw staysHere(confidentiality, audience);
  if (isOwn(id)) {
    if (shares) return await share(ctx, id, fields, { visibility: audience, groups, confidentiality });
    return await changeOwn(ctx, id, { ...fields, ...(confidentiality === undefined ? {} : { confidentiality }) });
  }
  if (marked || audience === 'private') return await withdraw(ctx, id, fields, confidentiality ?? 'normal');
  const body: BodyIn<'editMemory'> = { ...fields, ...(shares ? { visibility: audience, groups } : {}) };
  return await askAsMember(ctx, (hub) => hub.call('editMemory', { params: { memory: id }, body }));
}

/** Forgets a memory. @throws HaiveError MEMORY_NOT_FOUND, FORBIDDEN, and what the hub says */
export async function forgetMemory(ctx: ClientContext, id: string): Promise<void> {
  if (!isOwn(id)) {
    await askAsMember(ctx, (hub) => hub.call('forgetMemory', { params: { memory: id } }));
    return;
  }
  await changePrivateMemories(ctx.machine, (all) => {
    const next = all.filter((m) => m.id !== id);
    if (next.length === all.length) throw notFound(id);
    return { next, result: undefined };
  });
}

async function changeOwn(ctx: ClientContext, id: string, change: Partial<PrivateMemory>): Promise<MemoryItem> {
  const changed = await changePrivateMemories(ctx.machine, (all) => {
    const old = all.find((m) => m.id === id);
    if (old === undefined) throw notFound(id);
    const next = { ...old, ...change, updated_at: ctx.clock().toISOString() };
    return { next: all.map((m) => (m === old ? next : m)), result: next };
  });
  return itemOf(ctx, changed);
}

/** From this machine to the hub; nothing changes here before the hub has it. */
async function share(
  ctx: ClientContext,
  id: string,
  fields: Fields,
  audience: Pick<NewMemory, 'visibility' | 'groups' | 'confidentiality'>,
): Promise<MemoryItem> {
  const old = (await ownMemories(ctx)).find((m) => m.id === id);
  if (old === undefined) throw notFound(id);
  const confidentiality = audience.confidentiality ?? old.confidentiality;
  if (confidentiality !== 'normal') {
    throw new HaiveError('MEMORY_STAYS_HERE', `The memory ${id} is ${confidentiality}`, {
      hint: 'It leaves this machine only after its confidentiality was set to normal.',
    });
  }
  const { content, category, tags, importance, project, expires_at } = { ...old, ...fields };
  const text = { content, category, tags, importance };
  const optional = { project: project ?? undefined, expires_at: expires_at ?? undefined };
  return await leave(ctx, id, await storeMemory(ctx, { ...text, ...optional, ...audience }));
}

/** From the hub to this machine: the hub hears nothing of what changes, and forgets what it had once that is kept here. */
async function withdraw(
  ctx: ClientContext,
  id: string,
  fields: Fields,
  confidentiality: PrivateMemory['confidentiality'],
): Promise<MemoryItem> {
  // An edit of nothing answers the memory, and only to whom may change it.
  const {
    visibility: _v,
    groups: _g,
    machine: _m,
    ...shared
  } = await askAsMember(ctx, (hub) => hub.call('editMemory', { params: { memory: id }, body: {} }));
  const kept = await changePrivateMemories(ctx.machine, (all) => {
    const own = ownIdOf(id);
    // It is here already where the hub could not be told to forget it.
    const before = all.find((m) => m.id === own) ?? { ...shared, id: own };
    const next = { ...before, ...fields, confidentiality, updated_at: ctx.clock().toISOString() };
    return { next: [...all.filter((m) => m.id !== own), next], result: next };
  });
  return await leave(ctx, id, itemOf(ctx, kept));
}

/** Takes a memory from where it was, once it is kept elsewhere. */
async function leave(ctx: ClientContext, id: string, kept: MemoryItem): Promise<MemoryItem> {
  try {
    await forgetMemory(ctx, id);
  } catch (thrown) {
    if (!(thrown instanceof HaiveError)) throw thrown;
    if (thrown.code === 'MEMORY_NOT_FOUND') return kept;
    const { code, message, details } = thrown;
    throw new HaiveError(code, `Kept as ${kept.id}, but ${id} is still there as it was (${message})`, {
      cause: thrown,
      hint: `Forget ${id}.${isOwn(id) ? '' : ' Until then others read it.'}`,
      details: { ...details, kept: kept.id },
    });
  }
  return kept;
}

const notFound = (id: string): HaiveError => new HaiveError('MEMORY_NOT_FOUND', `There is no memory ${id}`);
