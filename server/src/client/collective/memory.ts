import { randomBytes } from 'node:crypto';
import type { BodyIn } from '../../contract/endpoints.ts';
import { HaiveError } from '../../domain/errors.ts';
import { rank } from '../../domain/rank.ts';
import { changePrivateMemories, type PrivateMemory, privateMemories } from '../../machine/private-memories.ts';
import { type ClientContext, hubAddress } from '../context.ts';
import { hubIsAway } from '../hub-client.ts';
import { foreignMemories } from './foreign-memory.ts';
import { askAsMember } from './member.ts';
import { connectMemoryServer, type MemoryServer } from './memory-server.ts';

type Confidentiality = 'normal' | 'internal' | 'confidential' | 'pii';

export interface MemoryItem {
  id: string;
  content: string;
  category: string;
  tags: string[];
  project: string | null;
  importance: number;
  visibility: 'private' | 'groups' | 'collective';
  groups: string[];
  confidentiality: Confidentiality;
  machine: string;
  created_at: string;
  updated_at: string;
  expires_at: string | null;
  /** 0 to 1, of a search. */
  score?: number;
  reason?: string;
}

export interface NewMemory {
  content: string;
  category?: string | undefined;
  tags?: string[] | undefined;
  project?: string | undefined;
  importance?: number | undefined;
  visibility?: 'private' | 'groups' | 'collective' | undefined;
  groups?: string[] | undefined;
  confidentiality?: Confidentiality | undefined;
  expires_at?: string | undefined;
}

/** Only what is given changes. */
export type MemoryEdit = Omit<NewMemory, 'content'> & { content?: string | undefined };

export interface MemoryFilter {
  category?: string | undefined;
  tag?: string | undefined;
  machine?: string | undefined;
  project?: string | undefined;
  limit: number;
}

/** Memories, and why those of the others are missing where they are. */
export interface Found {
  memories: MemoryItem[];
  warning: string | null;
}

/** The memory server answers only the last day unless told how far back, in hours: here ten years. */
export const ALL_HOURS = 87_600;

/** Ids of private memories: who is asked follows from the id. */
const OWN = 'own_';

/**
 * Keeps a memory: on this machine alone when it is private or not for others, else where the collective's memories are.
 * @throws HaiveError MEMORY_STAYS_HERE, HUB_NOT_CONFIGURED, and what the hub says
 */
export async function storeMemory(ctx: ClientContext, memory: NewMemory): Promise<MemoryItem> {
  const confidentiality = memory.confidentiality ?? 'normal';
  const visibility = memory.visibility ?? (confidentiality === 'normal' ? 'collective' : 'private');
  if (visibility === 'private') return await storePrivate(ctx, { ...memory, confidentiality });
  if (confidentiality !== 'normal') {
    throw new HaiveError('MEMORY_STAYS_HERE', `What is ${confidentiality} is not shared with ${visibility}`);
  }
  const server = ctx.config.memory_server;
  if (server !== undefined) {
    if (visibility === 'groups') throw noGroups();
    return await withServer(ctx, server, async (s) => {
      const { content, category = 'general', tags = [], project } = memory;
      await s.call('store_memory', { content, category, tags, ...(project === undefined ? {} : { context: project }) });
      const [kept] = foreignMemories([{ content, category, tags, project, machine_id: here(ctx) }], now(ctx));
      if (kept === undefined) throw new HaiveError('BAD_REQUEST', 'A memory needs content');
      return kept;
    });
  }
  const body = { ...memory, visibility, confidentiality: 'normal' } as BodyIn<'storeMemory'>;
  return await askAsMember(ctx, (hub) => hub.call('storeMemory', { body }));
}

/**
 * Searches this machine's private memories and those of the collective; without the latter's keeper, the former alone.
 * @throws HaiveError what the hub says, unless it is only away
 */
export async function searchMemories(
  ctx: ClientContext,
  query: string,
  options: MemoryFilter & { keywords?: string[] | undefined },
): Promise<Found> {
  const { keywords = [], tag, limit, ...filter } = options;
  const own = (await ownMemories(ctx)).filter((m) => fits(m, options));
  const wanted = rank(
    own,
    (m) => [m.content, m.category, ...m.tags, m.project ?? ''].join('\n'),
    [query, ...keywords].join(' '),
  );
  const mine = wanted.map(({ item, score, reason }) => ({ ...item, score, reason }));
  const shared = await orAway(ctx, async () => {
    const server = ctx.config.memory_server;
    if (server !== undefined) {
      const args = {
        query: [query, ...keywords].join(' '),
        limit,
        ...(filter.category === undefined ? {} : { category: filter.category }),
      };
      const found = await withServer(ctx, server, (s) => s.call('search_memories', args));
      return foreignMemories(found, now(ctx)).filter((m) => fits(m, options));
    }
    const body = { query, keywords, limit, ...filter, tags: tag === undefined ? [] : [tag] };
    return (await askAsMember(ctx, (hub) => hub.call('searchMemories', { body }))).results;
  });
  const memories = [...mine, ...shared.memories].sort((a, b) => (b.score ?? 0) - (a.score ?? 0));
  return { memories: memories.slice(0, limit), warning: shared.warning };
}

/** The newest memories of this machine and the collective. @throws HaiveError as searchMemories */
export async function recentMemories(ctx: ClientContext, filter: MemoryFilter): Promise<Found> {
  const own = (await ownMemories(ctx)).filter((m) => fits(m, filter));
  const shared = await orAway(ctx, async () => {
    const server = ctx.config.memory_server;
    if (server !== undefined) {
      const args = {
        limit: filter.limit,
        hours: ALL_HOURS,
        ...(filter.category === undefined ? {} : { category: filter.category }),
      };
      const found = await withServer(ctx, server, (s) => s.call('get_recent_memories', args));
      return foreignMemories(found, now(ctx)).filter((m) => fits(m, filter));
    }
    return (await askAsMember(ctx, (hub) => hub.call('memories', { query: filter }))).memories;
  });
  const memories = [...own, ...shared.memories].sort((a, b) => (a.created_at < b.created_at ? 1 : -1));
  return { memories: memories.slice(0, filter.limit), warning: shared.warning };
}

/**
 * Changes a memory. One that becomes confidential is taken from the hub and kept here, under another id.
 * @throws HaiveError MEMORY_NOT_FOUND, FORBIDDEN, MEMORY_STAYS_HERE, and what the hub says
 */
export async function updateMemory(ctx: ClientContext, id: string, edit: MemoryEdit): Promise<MemoryItem> {
  const { confidentiality, visibility, ...rest } = edit;
  const change = Object.fromEntries(Object.entries(rest).filter(([, v]) => v !== undefined)) as MemoryEdit;
  if (!id.startsWith(OWN)) {
    const hides = visibility === 'private' || (confidentiality !== undefined && confidentiality !== 'normal');
    const body = { ...change, ...(hides || visibility === undefined ? {} : { visibility }) } as BodyIn<'editMemory'>;
    const memory = await askAsMember(ctx, (hub) => hub.call('editMemory', { params: { memory: id }, body }));
    if (!hides) return memory;
    const kept = await storePrivate(ctx, {
      ...memory,
      project: memory.project ?? undefined,
      expires_at: memory.expires_at ?? undefined,
      confidentiality: confidentiality ?? 'normal',
    });
    await forgetMemory(ctx, id);
    return kept;
  }
  const shares = visibility !== undefined && visibility !== 'private';
  const next = await changePrivateMemories(ctx.machine, (all) => {
    const old = all.find((m) => m.id === id);
    if (old === undefined) throw new HaiveError('MEMORY_NOT_FOUND', `There is no memory ${id}`);
    const mark = confidentiality ?? old.confidentiality;
    if (shares && mark !== 'normal') {
      throw new HaiveError('MEMORY_STAYS_HERE', `The memory ${id} is ${mark}`, {
        hint: 'It leaves this machine only after its confidentiality was set to normal.',
      });
    }
    const { groups: _, ...fields } = change;
    const changed = { ...old, ...fields, confidentiality: mark, updated_at: now(ctx) } as PrivateMemory;
    return { next: all.map((m) => (m === old ? changed : m)), result: changed };
  });
  if (!shares) return itemOf(ctx, next);
  const shared = await storeMemory(ctx, {
    ...next,
    project: next.project ?? undefined,
    expires_at: next.expires_at ?? undefined,
    visibility,
    groups: change.groups,
  });
  await forgetMemory(ctx, id);
  return shared;
}

/** Forgets a memory. @throws HaiveError MEMORY_NOT_FOUND, FORBIDDEN, and what the hub says */
export async function forgetMemory(ctx: ClientContext, id: string): Promise<void> {
  if (!id.startsWith(OWN)) {
    await askAsMember(ctx, (hub) => hub.call('forgetMemory', { params: { memory: id } }));
    return;
  }
  await changePrivateMemories(ctx.machine, (all) => {
    const next = all.filter((m) => m.id !== id);
    if (next.length === all.length) throw new HaiveError('MEMORY_NOT_FOUND', `There is no memory ${id}`);
    return { next, result: undefined };
  });
}

/** This machine's private memories. */
export async function ownMemories(ctx: ClientContext): Promise<MemoryItem[]> {
  return (await privateMemories(ctx.machine)).map((m) => itemOf(ctx, m));
}

/** Keeps a memory on this machine alone. */
export async function storePrivate(ctx: ClientContext, memory: NewMemory): Promise<MemoryItem> {
  const at = now(ctx);
  const made: PrivateMemory = {
    id: `${OWN}${randomBytes(9).toString('base64url')}`,
    content: memory.content,
    category: memory.category ?? 'general',
    tags: memory.tags ?? [],
    project: memory.project ?? null,
    importance: memory.importance ?? 3,
    confidentiality: memory.confidentiality ?? 'normal',
    created_at: at,
    updated_at: at,
    expires_at: memory.expires_at ?? null,
  };
  return itemOf(ctx, await changePrivateMemories(ctx.machine, (all) => ({ next: [...all, made], result: made })));
}

/** Runs `work` with a session at the memory server, and ends it. */
export async function withServer<T>(
  ctx: ClientContext,
  url: string,
  work: (server: MemoryServer) => Promise<T>,
): Promise<T> {
  const server = await connectMemoryServer(ctx, url);
  try {
    return await work(server);
  } finally {
    server.close();
  }
}

async function orAway(ctx: ClientContext, work: () => Promise<MemoryItem[]>): Promise<Found> {
  try {
    // A machine alone has only its own memories; that is no failure.
    if (ctx.config.memory_server === undefined) await hubAddress(ctx);
    return { memories: await work(), warning: null };
  } catch (thrown) {
    const alone = thrown instanceof HaiveError && thrown.code === 'HUB_NOT_CONFIGURED';
    if (!alone && !hubIsAway(thrown)) throw thrown;
    const { code, message } = thrown as HaiveError;
    return { memories: [], warning: `Only this machine's private memories: ${code}: ${message}` };
  }
}

function fits(m: MemoryItem, filter: MemoryFilter): boolean {
  return (
    (filter.category === undefined || m.category === filter.category) &&
    (filter.machine === undefined || m.machine === filter.machine) &&
    (filter.project === undefined || m.project === filter.project) &&
    (filter.tag === undefined || m.tags.includes(filter.tag))
  );
}

const now = (ctx: ClientContext): string => ctx.clock().toISOString();
const here = (ctx: ClientContext): string => ctx.config.machine?.name ?? 'this machine';

function itemOf(ctx: ClientContext, memory: PrivateMemory): MemoryItem {
  return { ...memory, visibility: 'private', groups: [], machine: here(ctx) };
}

function noGroups(): HaiveError {
  return new HaiveError('BAD_REQUEST', 'The memory server that memory_server names knows no groups', {
    hint: 'Use visibility collective or private.',
  });
}
