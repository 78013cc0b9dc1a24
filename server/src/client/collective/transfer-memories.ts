import { ImportedMemory } from '../../contract/collective-schemas.ts';
import { audienceOf } from '../../domain/collective.ts';
import { HaiveError } from '../../domain/errors.ts';
import { changePrivateMemories, PrivateMemory } from '../../machine/private-memories.ts';
import type { ClientContext } from '../context.ts';
import { foreignMemories } from './foreign-memory.ts';
import { askAsMember } from './member.ts';
import { ALL_HOURS, type MemoryItem, withServer } from './memory.ts';
import { ownMemories } from './own-memories.ts';

const BATCH = 200;

/**
 * All memories that may be read here, as JSON lines, oldest first: the collective's, and with `own` this machine's private ones.
 * @throws HaiveError of the hub
 */
export async function exportMemories(
  ctx: ClientContext,
  options: { own: boolean; shared: boolean },
): Promise<string[]> {
  const all: MemoryItem[] = options.own ? await ownMemories(ctx) : [];
  for (let after: string | null = null; options.shared; ) {
    const query = { limit: 500, ...(after === null ? {} : { after }) };
    const page: { memories: MemoryItem[]; next: string | null } = await askAsMember(ctx, (hub) =>
      hub.call('memories', { query }),
    );
    all.push(...page.memories);
    after = page.next;
    if (after === null) break;
  }
  return all.sort((a, b) => (a.created_at < b.created_at ? -1 : 1)).map((m) => JSON.stringify(m));
}

/**
 * Takes exported lines in again: private ones here, the others to the hub; what is there already is left alone.
 * @throws HaiveError BODY_INVALID naming the line, BAD_REQUEST (groups against visibility), before anything is changed
 */
export async function importMemories(ctx: ClientContext, text: string): Promise<{ added: number; known: number }> {
  const own: PrivateMemory[] = [];
  const shared: (typeof ImportedMemory)['_output'][] = [];
  text.split('\n').forEach((line, i) => {
    if (line.trim() === '') return;
    const value = parse(line, i);
    if (value.visibility === 'private' || (value.confidentiality ?? 'normal') !== 'normal')
      own.push(check(PrivateMemory, value, i));
    else {
      const { machine, updated_at: _u, score: _s, reason: _r, ...rest } = value;
      const memory = check(ImportedMemory, typeof machine === 'string' ? { ...rest, source: machine } : rest, i);
      shared.push({ ...memory, visibility: audienceOf(memory.visibility, memory.groups) });
    }
  });
  const kept = await changePrivate(ctx, own);
  const sent = await send(ctx, shared);
  return { added: kept.added + sent.added, known: kept.known + sent.known };
}

/**
 * Takes over the memories of an existing hAIveMind memory server, page by page through its MCP tools over HTTP. What is marked there as
 * not for everybody stays there.
 * @param url its MCP address
 * @throws HaiveError HUB_UNREACHABLE, HUB_ANSWER_INVALID, and what our hub says
 */
export async function importFromServer(
  ctx: ClientContext,
  url: string,
): Promise<{ added: number; known: number; left: number }> {
  const found = new Map<string, MemoryItem>();
  await withServer(ctx, url, async (server) => {
    for (let offset = 0; ; offset += BATCH) {
      const answer = await server.call('get_recent_memories', { hours: ALL_HOURS, limit: BATCH, offset });
      const before = found.size;
      for (const memory of foreignMemories(answer, ctx.clock().toISOString())) found.set(memory.id, memory);
      // A server that knows no pages answers the same once more.
      if (found.size - before < BATCH) return;
    }
  });
  const open = [...found.values()].filter((m) => m.confidentiality === 'normal');
  const sent = await send(
    ctx,
    open.map(({ machine, updated_at: _, score: _s, reason: _r, ...m }) =>
      check(ImportedMemory, { ...m, source: machine }, 0),
    ),
  );
  return { ...sent, left: found.size - open.length };
}

async function send(
  ctx: ClientContext,
  memories: (typeof ImportedMemory)['_output'][],
): Promise<{ added: number; known: number }> {
  const sum = { added: 0, known: 0 };
  for (let i = 0; i < memories.length; i += BATCH) {
    const body = { memories: memories.slice(i, i + BATCH) };
    const { added, known } = await askAsMember(ctx, (hub) => hub.call('importMemories', { body }));
    sum.added += added;
    sum.known += known;
  }
  return sum;
}

async function changePrivate(ctx: ClientContext, own: PrivateMemory[]): Promise<{ added: number; known: number }> {
  if (own.length === 0) return { added: 0, known: 0 };
  return await changePrivateMemories(ctx.machine, (all) => {
    const ids = new Set(all.map((m) => m.id));
    const fresh = own.filter((m) => !ids.has(m.id));
    return { next: [...all, ...fresh], result: { added: fresh.length, known: own.length - fresh.length } };
  });
}

function parse(line: string, i: number): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new HaiveError('BODY_INVALID', `Line ${i + 1} is not a JSON object`, {
    hint: 'Give what `hv memories export` wrote.',
  });
}

function check<T>(
  schema: {
    safeParse(
      value: unknown,
    ): { success: true; data: T } | { success: false; error: { issues: { path: PropertyKey[]; message: string }[] } };
  },
  value: unknown,
  i: number,
): T {
  const done = schema.safeParse(value);
  if (done.success) return done.data;
  const issue = done.error.issues[0];
  throw new HaiveError(
    'BODY_INVALID',
    `Line ${i + 1}: ${issue?.path.join('.') || 'the memory'}: ${issue?.message ?? 'wrong form'}`,
  );
}
