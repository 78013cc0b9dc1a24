import { randomBytes } from 'node:crypto';
import { changePrivateMemories, type PrivateMemory, privateMemories } from '../../machine/private-memories.ts';
import type { ClientContext } from '../context.ts';
import type { MemoryItem, NewMemory } from './memory.ts';

/** Ids of private memories: who is asked follows from the id. */
const OWN = 'own_';

export const isOwn = (id: string): boolean => id.startsWith(OWN);

/** The id here of a memory that the hub kept under `id`: always the same. */
export const ownIdOf = (id: string): string => `${OWN}${id.replace(/^mem_/, '')}`;

/** This machine's private memories. @throws HaiveError CONFIG_INVALID */
export async function ownMemories(ctx: ClientContext): Promise<MemoryItem[]> {
  return (await privateMemories(ctx.machine)).map((m) => itemOf(ctx, m));
}

/** Keeps a memory on this machine alone. @throws HaiveError CONFIG_INVALID, LOCKED, DISK_FULL, READ_ONLY, IO_ERROR */
export async function storePrivate(ctx: ClientContext, memory: NewMemory): Promise<MemoryItem> {
  const at = ctx.clock().toISOString();
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

/** A private memory as all are shown. */
export function itemOf(ctx: ClientContext, memory: PrivateMemory): MemoryItem {
  return { ...memory, visibility: 'private', groups: [], machine: hereName(ctx) };
}

export const hereName = (ctx: ClientContext): string => ctx.config.machine?.name ?? 'this machine';
