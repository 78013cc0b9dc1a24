import type * as z from 'zod';
import type { ImportedMemory, Memory } from '../../contract/collective-schemas.ts';
import { audienceOf, type Member, mayRead } from '../../domain/collective.ts';
import { HaiveError } from '../../domain/errors.ts';
import { findMemory, insertMemories, memoriesWithIds, updateMemory } from '../../storage/queries/collective.ts';
import type { MemoriesTable } from '../../storage/tables/collective.ts';
import type { Tx } from '../../storage/tables/index.ts';
import { isOperator } from '../auth.ts';
import type { HubContext, Principal, UseCases } from '../context.ts';
import { memoryIndexOf } from './memory-index.ts';
import { callerOf, idOfCall, list, newId, write } from './write.ts';

type MemoryCases = Pick<
  UseCases,
  'storeMemory' | 'memories' | 'searchMemories' | 'importMemories' | 'editMemory' | 'forgetMemory'
>;
type New = z.output<typeof ImportedMemory>;

/** Memories that machines share; what must not leave a machine never arrives here (the contract refuses it). */
export const memoryUseCases: MemoryCases = {
  async storeMemory(hub, call) {
    const { principal, body } = call;
    const { expires_at: _, ...said } = body;
    const id = idOfCall('mem', call, said);
    const row = await write(hub, principal, async ({ tx, rev, at, audit }) => {
      const before = await findMemory(tx, id);
      if (before !== undefined) return before;
      const caller = await callerOf(tx, principal);
      const made = rowOf({ ...body, id }, caller, principal, rev, at);
      await insertMemories(tx, [made]);
      // Not what it says: the log outlives what is forgotten.
      await audit('memory.stored', made.id, { visibility: made.visibility, category: made.category });
      return made;
    });
    return memoryOf(row);
  },

  async importMemories(hub, { principal, body }) {
    return await write(hub, principal, async ({ tx, rev, at, audit }) => {
      const caller = await callerOf(tx, principal);
      const ids = body.memories.flatMap((m) => m.id ?? []);
      const known = new Map((await memoriesWithIds(tx, ids)).map((row) => [row.id, row]));
      const fresh = new Map<string, MemoriesTable>();
      const back = new Map<string, MemoriesTable>();
      for (const memory of body.memories) {
        const row = rowOf(memory, caller, principal, rev, at);
        const old = known.get(row.id);
        if (old === undefined) fresh.set(row.id, row);
        else if (old.forgotten === 1 && mayChange(old, principal, caller)) {
          back.set(row.id, { ...row, machine_id: old.machine_id, author: old.author });
        }
      }
      await insertMemories(tx, [...fresh.values()]);
      for (const [id, row] of back) await updateMemory(tx, id, row);
      const added = fresh.size + back.size;
      await audit('memory.imported', principal.name, { added });
      return { added, known: body.memories.length - added };
    });
  },

  async memories(hub, { principal, query }) {
    const readable = await readableBy(hub, principal);
    const index = await memoryIndexOf(hub.store);
    const after = query.after === undefined ? null : cursorOf(query.after);
    const rows = [...index.all()]
      .filter((row) => readable(row) && fits(row, query))
      .filter((row) => query.tag === undefined || list(row.tags).includes(query.tag))
      .filter((row) => query.since === undefined || row.created_at >= new Date(query.since).toISOString())
      .filter((row) => after === null || newestFirst(after, row) < 0)
      .sort(newestFirst);
    const page = rows.slice(0, query.limit);
    const last = page.at(-1);
    const next = rows.length > page.length && last !== undefined ? `${last.created_at}~${last.id}` : null;
    return { memories: page.map(memoryOf), next };
  },

  async searchMemories(hub, { principal, body }) {
    const readable = await readableBy(hub, principal);
    const index = await memoryIndexOf(hub.store);
    const wanted = (row: MemoriesTable): boolean =>
      readable(row) && fits(row, body) && body.tags.every((tag) => list(row.tags).includes(tag));
    const hits = index.search(body.query, body.keywords, body.limit, wanted);
    return { results: hits.map(({ row, score, reason }) => ({ ...memoryOf(row), score, reason })) };
  },

  async editMemory(hub, { principal, params, body }) {
    return await write(hub, principal, async ({ tx, rev, at, audit }) => {
      const row = await ownMemory(tx, principal, params.memory ?? '', at);
      const visibility = audienceOf(body.visibility, body.groups) ?? row.visibility;
      const groups = body.groups ?? list(row.groups);
      const until = body.expires_at === undefined ? row.expires_at : body.expires_at;
      const next: MemoriesTable = {
        ...row,
        rev,
        updated_at: at,
        content: body.content ?? row.content,
        category: body.category ?? row.category,
        tags: body.tags === undefined ? row.tags : JSON.stringify([...new Set(body.tags)]),
        project: body.project === undefined ? row.project : body.project,
        importance: body.importance ?? row.importance,
        expires_at: until === null ? null : utc(until),
        visibility,
        groups: JSON.stringify(visibility === 'groups' ? readers(groups, await callerOf(tx, principal)) : []),
      };
      await updateMemory(tx, row.id, next);
      await audit('memory.edited', row.id, { author: row.author, changed: Object.keys(body).sort() });
      return memoryOf(next);
    });
  },

  async forgetMemory(hub, { principal, params }) {
    return await write(hub, principal, async ({ tx, rev, at, audit }) => {
      const row = await ownMemory(tx, principal, params.memory ?? '', at);
      await updateMemory(tx, row.id, { rev, content: '', tags: '[]', project: null, forgotten: 1, updated_at: at });
      await audit('memory.forgotten', row.id, { author: row.author });
      return { ok: true as const };
    });
  },
};

/** A memory that the caller may change. @throws HaiveError MEMORY_NOT_FOUND, FORBIDDEN */
async function ownMemory(tx: Tx, principal: Principal, id: string, now: string): Promise<MemoriesTable> {
  const row = await findMemory(tx, id);
  const caller = await callerOf(tx, principal);
  const seen = row !== undefined && row.forgotten === 0 && !expired(row, now);
  if (!seen || (caller !== null && !isOperator(principal) && !mayRead(readable(row), caller))) {
    throw new HaiveError('MEMORY_NOT_FOUND', `There is no memory ${id}`);
  }
  if (mayChange(row, principal, caller)) return row;
  throw new HaiveError('FORBIDDEN', `The memory ${id} is ${row.author}'s`, {
    hint: 'Its own machine or an operator may change it.',
  });
}

/** A memory is its machine's, and operators'. */
function mayChange(row: MemoriesTable, principal: Principal, caller: Member | null): boolean {
  return isOperator(principal) || (caller !== null && row.machine_id === caller.id);
}

async function readableBy(hub: HubContext, principal: Principal): Promise<(row: MemoriesTable) => boolean> {
  const now = hub.clock().toISOString();
  const caller = await callerOf(hub.store.read, principal);
  if (caller === null || isOperator(principal)) return (row) => !expired(row, now);
  return (row) => !expired(row, now) && mayRead(readable(row), caller);
}

const expired = (row: MemoriesTable, now: string): boolean => row.expires_at !== null && row.expires_at <= now;
const utc = (time: string): string => new Date(time).toISOString();

function readable(row: MemoriesTable): { visibility: string; groups: string[]; machineId: string | null } {
  return { visibility: row.visibility, groups: list(row.groups), machineId: row.machine_id };
}

interface Filter {
  category?: string | undefined;
  machine?: string | undefined;
  project?: string | undefined;
  min_importance?: number | undefined;
}

function fits(row: MemoriesTable, filter: Filter): boolean {
  return (
    (filter.category === undefined || row.category === filter.category) &&
    (filter.machine === undefined || row.author === filter.machine) &&
    (filter.project === undefined || row.project === filter.project) &&
    row.importance >= (filter.min_importance ?? 1)
  );
}

type Place = Pick<MemoriesTable, 'created_at' | 'id'>;

function newestFirst(a: Place, b: Place): number {
  if (a.created_at !== b.created_at) return a.created_at > b.created_at ? -1 : 1;
  return a.id === b.id ? 0 : a.id > b.id ? -1 : 1;
}

function cursorOf(text: string): Place {
  const [created_at, id] = text.split('~');
  if (created_at === undefined || id === undefined) {
    throw new HaiveError('BAD_REQUEST', 'after is not a `next` of this list');
  }
  return { created_at, id };
}

/** @throws HaiveError TARGET_REQUIRED when nobody could read it */
function readers(groups: readonly string[], caller: Member | null): readonly string[] {
  const named = groups.length > 0 ? groups : (caller?.groups ?? []);
  if (named.length > 0) return named;
  throw new HaiveError('TARGET_REQUIRED', 'A memory for groups names no group', {
    hint: 'Name groups, or make it visible to the collective.',
  });
}

function rowOf(body: New, caller: Member | null, principal: Principal, rev: number, at: string): MemoriesTable {
  const by = caller?.name ?? principal.name;
  const visibility = audienceOf(body.visibility, body.groups) ?? 'collective';
  const created = body.created_at === undefined ? at : utc(body.created_at);
  return {
    id: body.id ?? newId('mem'),
    rev,
    content: body.content,
    category: body.category,
    tags: JSON.stringify([...new Set(body.tags)]),
    project: body.project,
    importance: body.importance,
    visibility,
    groups: JSON.stringify(visibility === 'groups' ? readers(body.groups, caller) : []),
    machine_id: caller?.id ?? null,
    author: body.source === undefined ? by : `${body.source} (by ${by})`,
    // Nobody writes into the future, where it would stay the newest.
    created_at: created > at ? at : created,
    updated_at: at,
    expires_at: body.expires_at === null ? null : utc(body.expires_at),
    forgotten: 0,
  };
}

/** A row as the contract has it. */
function memoryOf(row: MemoriesTable): z.output<typeof Memory> {
  return {
    id: row.id,
    content: row.content,
    category: row.category,
    tags: list(row.tags),
    project: row.project,
    importance: row.importance,
    visibility: row.visibility as z.output<typeof Memory>['visibility'],
    groups: list(row.groups),
    confidentiality: 'normal',
    machine: row.author,
    created_at: row.created_at,
    updated_at: row.updated_at,
    expires_at: row.expires_at,
  };
}
