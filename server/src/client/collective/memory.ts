import type { BodyIn } from '../../contract/endpoints.ts';
import { audienceOf } from '../../domain/collective.ts';
import { HaiveError } from '../../domain/errors.ts';
import { rank } from '../../domain/rank.ts';
import { type ClientContext, hubAddress } from '../context.ts';
import { hubIsAway } from '../hub/hub-client.ts';
import { askOnce } from './ask-once.ts';
import { foreignMemories } from './foreign-memory.ts';
import { askAsMember } from './member.ts';
import { connectMemoryServer, type MemoryServer } from './memory-server.ts';
import { hereName, ownMemories, storePrivate } from './own-memories.ts';

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

/**
 * Keeps a memory: on this machine alone when it is private or not for others, else where the collective's memories are.
 * Naming groups makes it theirs.
 * @param key the hub keeps the same memory once under it
 * @throws HaiveError MEMORY_STAYS_HERE, BAD_REQUEST (groups against visibility), HUB_NOT_CONFIGURED, and what the hub says
 */
export async function storeMemory(ctx: ClientContext, memory: NewMemory, key?: string): Promise<MemoryItem> {
  const confidentiality = memory.confidentiality ?? 'normal';
  const audience = audienceOf(memory.visibility, memory.groups);
  const visibility = audience ?? (confidentiality === 'normal' ? 'collective' : 'private');
  if (visibility === 'private') return await storePrivate(ctx, { ...memory, confidentiality });
  if (confidentiality !== 'normal') throw staysHere(confidentiality, visibility);
  const server = ctx.config.memory_server;
  if (server !== undefined) {
    if (visibility === 'groups') throw noGroups();
    return await withServer(ctx, server, async (s) => {
      const { content, category = 'general', tags = [], project } = memory;
      await s.call('store_memory', { content, category, tags, ...(project === undefined ? {} : { context: project }) });
      const [kept] = foreignMemories([{ content, category, tags, project, machine_id: hereName(ctx) }], now(ctx));
      if (kept === undefined) throw new HaiveError('BAD_REQUEST', 'A memory needs content');
      return kept;
    });
  }
  const body = { ...memory, visibility, confidentiality: 'normal' } as BodyIn<'storeMemory'>;
  return await askOnce(ctx, 'storeMemory', body, key);
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

/** What must stay here was to be shared. */
export function staysHere(confidentiality: Confidentiality, visibility: 'groups' | 'collective'): HaiveError {
  return new HaiveError('MEMORY_STAYS_HERE', `What is ${confidentiality} is not shared with ${visibility}`);
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

function noGroups(): HaiveError {
  return new HaiveError('BAD_REQUEST', 'The memory server that memory_server names knows no groups', {
    hint: 'Use visibility collective or private.',
  });
}
