import { createHash } from 'node:crypto';
import type { BodyIn } from '../../contract/endpoints.ts';
import { mayUse } from '../../contract/roles.ts';
import { audienceOf } from '../../domain/collective.ts';
import { HaiveError } from '../../domain/errors.ts';
import { changePrivateMemories, type PrivateMemory } from '../../machine/private-memories.ts';
import type { ClientContext } from '../context.ts';
import { isCut } from '../hub/hub-client.ts';
import { askAsMember } from './member.ts';
import { type MemoryItem, type NewMemory, staysHere, storeMemory } from './memory.ts';
import { hereName, isOwn, itemOf, ownIdOf, ownMemories } from './own-memories.ts';

/** Only what is given changes. */
export type MemoryEdit = Omit<NewMemory, 'content'> & { content?: string | undefined };

/** What of an edit is kept the same way here and at the hub. */
type Fields = Partial<Pick<PrivateMemory, 'content' | 'category' | 'tags' | 'project' | 'importance' | 'expires_at'>>;

/**
 * Changes a memory. One that becomes private or confidential is taken from the hub and kept here, one that is shared the
 * other way round, both under another id; where only the last step failed, the error names the id under `kept`. Where an
 * answer was lost, the same edit may be made again.
 * @throws HaiveError MEMORY_NOT_FOUND, FORBIDDEN (also for what an operator would take from another machine), MEMORY_STAYS_HERE, BAD_REQUEST (groups against visibility), and what the hub says
 */
export async function updateMemory(ctx: ClientContext, id: string, edit: MemoryEdit): Promise<MemoryItem> {
  const { confidentiality, visibility, groups: named = [], ...rest } = edit;
  const fields = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)) as Fields;
  const groups = named.length > 0 ? named : undefined;
  const audience = audienceOf(visibility, groups);
  const shares = audience === 'groups' || audience === 'collective';
  const marked = confidentiality !== undefined && confidentiality !== 'normal';
  if (shares && marked) throw staysHere(confidentiality, audience);
  const mark = confidentiality === undefined ? {} : { confidentiality };
  if (isOwn(id)) {
    if (shares) return await share(ctx, id, fields, { visibility: audience, groups, confidentiality });
    return await changeOwn(ctx, id, { ...fields, ...mark });
  }
  if (marked || audience === 'private') return await withdraw(ctx, id, { ...fields, ...mark });
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
  return await leave(ctx, id, await storeOnce(ctx, id, { ...text, ...optional, ...audience }));
}

/** Stores what was private under `id`; made again after its answer was lost, by whatever process, it is shared once. */
async function storeOnce(ctx: ClientContext, id: string, memory: NewMemory): Promise<MemoryItem> {
  const key = createHash('sha256').update(`share ${id}`).digest('base64url');
  try {
    const shared = await storeMemory(ctx, memory, key);
    // It was shared before and forgotten since: what is answered holds nothing any more.
    return shared.content === '' ? await storeMemory(ctx, memory) : shared;
  } catch (thrown) {
    if (!(thrown instanceof HaiveError) || !isCut(thrown)) throw thrown;
    const { code, message, details } = thrown;
    const again = ctx.config.memory_server === undefined ? ' The same edit, made again, shares it once.' : '';
    throw new HaiveError(code, `${id} is here as it was, and may be shared already (${message})`, {
      cause: thrown,
      hint: `Others may read it already: look with \`hv memories\`.${again}`,
      details: { ...details },
    });
  }
}

/** From the hub to this machine: the hub hears nothing of what changes, and forgets what it had once that is kept here. */
async function withdraw(ctx: ClientContext, id: string, change: Partial<PrivateMemory>): Promise<MemoryItem> {
  const own = ownIdOf(id);
  const before = (await ownMemories(ctx)).some((m) => m.id === own);
  const found = await toWithdraw(ctx, id).catch((thrown: unknown) => {
    // The hub was told to forget it before, and only its answer was lost.
    if (before && thrown instanceof HaiveError && thrown.code === 'MEMORY_NOT_FOUND') return null;
    throw thrown;
  });
  if (found === null) return await changeOwn(ctx, own, change);
  const { visibility: _v, groups: _g, machine: _m, ...shared } = found;
  const kept = await changePrivateMemories(ctx.machine, (all) => {
    // It is here already where the hub could not be told to forget it.
    const old = all.find((m) => m.id === own) ?? { ...shared, id: own };
    const next = { ...old, ...change, updated_at: ctx.clock().toISOString() };
    return { next: [...all.filter((m) => m.id !== own), next], result: next };
  });
  return await leave(ctx, id, itemOf(ctx, kept));
}

/** The memory at the hub, where it may be taken to this machine. @throws HaiveError MEMORY_NOT_FOUND, FORBIDDEN */
async function toWithdraw(ctx: ClientContext, id: string): Promise<MemoryItem> {
  return await askAsMember(ctx, async (hub) => {
    // An edit of nothing answers the memory, and only to whom may change it.
    const found = await hub.call('editMemory', { params: { memory: id }, body: {} });
    if (found.machine === hereName(ctx)) return found;
    // A machine may change its own alone, also where it had another name; an operator any, but has no place for it here.
    const { token } = await hub.call('whoami');
    const any = mayUse(token.roles, ['operator']);
    if (!any || found.machine === token.name || found.machine.endsWith(` (by ${token.name})`)) return found;
    throw new HaiveError(
      'FORBIDDEN',
      `The memory ${id} is ${found.machine}'s: private, only this machine would have it`,
      {
        hint: `Make it private there (hv memories edit ${id} on ${found.machine}), or have it forgotten: hv memories forget ${id}`,
      },
    );
  });
}

/** Takes a memory from where it was, once it is kept elsewhere. */
async function leave(ctx: ClientContext, id: string, kept: MemoryItem): Promise<MemoryItem> {
  try {
    await forgetMemory(ctx, id);
  } catch (thrown) {
    if (!(thrown instanceof HaiveError)) throw thrown;
    if (thrown.code === 'MEMORY_NOT_FOUND') return kept;
    const { code, message, details } = thrown;
    const unsure = isCut(thrown);
    throw new HaiveError(
      code,
      `Kept as ${kept.id}, but ${id} ${unsure ? 'may still be' : 'is still'} there as it was (${message})`,
      {
        cause: thrown,
        hint: unsure
          ? `Make the same edit again. Until then others may read ${id}.`
          : `Forget ${id}.${isOwn(id) ? '' : ' Until then others read it.'}`,
        details: { ...details, kept: kept.id },
      },
    );
  }
  return kept;
}

const notFound = (id: string): HaiveError => new HaiveError('MEMORY_NOT_FOUND', `There is no memory ${id}`);
