import { createHash } from 'node:crypto';
import type { MemoryItem } from './memory.ts';

/** Memories as other memory servers write them: the names of the fields differ, their meaning does not. */
export function foreignMemories(answer: unknown, now: string): MemoryItem[] {
  return rowsOf(answer).flatMap((row) => {
    const content = text(row.content) ?? text(row.memory) ?? text(row.text) ?? text(row.document);
    if (content === undefined || content.trim() === '') return [];
    const meta = typeof row.metadata === 'object' && row.metadata !== null ? (row.metadata as Row) : {};
    const created = time(row.created_at ?? row.timestamp ?? meta.created_at ?? meta.timestamp) ?? now;
    const score = row.score ?? row.relevance_score ?? row.similarity;
    return [
      {
        id: `mem_${createHash('sha256')
          .update(`${text(row.id) ?? text(row.memory_id) ?? ''}\n${content}`)
          .digest('base64url')
          .slice(0, 24)}`,
        content: content.slice(0, 16_384),
        category: (text(row.category) ?? text(meta.category) ?? 'general').slice(0, 64),
        tags: tags(row.tags ?? meta.tags),
        project: text(row.project) ?? text(meta.project) ?? null,
        importance: 3,
        visibility: 'collective',
        groups: [],
        confidentiality: confidentiality(row.confidentiality_level ?? meta.confidentiality_level),
        machine: text(row.machine_id) ?? text(meta.machine_id) ?? text(row.user_id) ?? 'unknown',
        created_at: created,
        updated_at: created,
        expires_at: null,
        ...(typeof score === 'number' ? { score } : {}),
      },
    ];
  });
}

function confidentiality(value: unknown): MemoryItem['confidentiality'] {
  if (value === undefined || value === null || value === '' || value === 'normal' || value === 'public')
    return 'normal';
  // A mark that is not known here still says that somebody meant to hold it back.
  return value === 'internal' || value === 'pii' ? value : 'confidential';
}

type Row = Record<string, unknown>;

function rowsOf(answer: unknown): Row[] {
  if (typeof answer === 'string') return answer.trim() === '' ? [] : [{ content: answer }];
  if (Array.isArray(answer)) return answer.filter((row): row is Row => typeof row === 'object' && row !== null);
  if (typeof answer !== 'object' || answer === null) return [];
  const object = answer as Row;
  for (const key of ['memories', 'results', 'items', 'data'])
    if (Array.isArray(object[key])) return rowsOf(object[key]);
  return 'content' in object || 'memory' in object ? [object] : [];
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

function tags(value: unknown): string[] {
  const list = Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : [];
  return list
    .filter((t): t is string => typeof t === 'string' && t.trim() !== '')
    .map((t) => t.trim().slice(0, 64))
    .slice(0, 30);
}

function time(value: unknown): string | undefined {
  const ms = typeof value === 'number' ? (value < 1e12 ? value * 1000 : value) : Date.parse(text(value) ?? '');
  return Number.isFinite(ms) ? new Date(ms).toISOString() : undefined;
}
