import { createHash } from 'node:crypto';
import { redact } from '../../domain/redact.ts';
import type { AuditTable, Tx } from '../tables/index.ts';
import { nextCounter } from './meta.ts';

export interface AuditEntry {
  /** Who: a token's name and id. */
  actor: string;
  /** What was done, `plugin.publish`. */
  action: string;
  /** To what: an id or name. */
  target: string;
  data: Record<string, unknown>;
}

export interface AuditRecord extends AuditEntry {
  id: number;
  at: string;
  hash: string;
}

/** The chain's beginning. */
const GENESIS = '0'.repeat(64);

function hashOf(row: Omit<AuditTable, 'hash'>): string {
  const canonical = JSON.stringify([row.id, row.at, row.actor, row.action, row.target, row.data]);
  return createHash('sha256').update(row.prev_hash).update(canonical).digest('hex');
}

/** Appends to the hash chain; holds the audit counter until the commit, so take `nextSeq` before, never after. */
export async function appendAudit(tx: Tx, at: string, entry: AuditEntry): Promise<void> {
  const id = await nextCounter(tx, 'audit');
  const last = await tx
    .selectFrom('audit')
    .select('hash')
    .where('id', '=', id - 1)
    .executeTakeFirst();
  const { actor, action, target } = entry;
  const data = JSON.stringify(redact(entry.data));
  const row = { id, at, actor, action, target, data, prev_hash: last?.hash ?? GENESIS };
  await tx
    .insertInto('audit')
    .values({ ...row, hash: hashOf(row) })
    .execute();
}

/** Newest first; `before` is an id of the page before. */
export async function listAudit(tx: Tx, limit: number, before?: number): Promise<AuditRecord[]> {
  let select = tx.selectFrom('audit').selectAll().orderBy('id', 'desc').limit(limit);
  if (before !== undefined) select = select.where('id', '<', before);
  return (await select.execute()).map((r) => ({
    id: r.id,
    at: r.at,
    actor: r.actor,
    action: r.action,
    target: r.target,
    data: JSON.parse(r.data) as Record<string, unknown>,
    hash: r.hash,
  }));
}

export interface AuditProof {
  rows: number;
  /** First row that was changed, removed or put in; null when all is as it was written. */
  brokenAt: number | null;
  /** Hash of the last row: kept elsewhere, it proves later that nothing before it was written anew. */
  head: string;
}

/** Computes the chain again, and compares its end with the counter: rows cut off at the end, or put there, are found too. */
export async function proveAudit(tx: Tx): Promise<AuditProof> {
  const broken = await findAuditBreak(tx);
  const last = await tx.selectFrom('audit').select(['id', 'hash']).orderBy('id', 'desc').limit(1).executeTakeFirst();
  const counter = await tx.selectFrom('counters').select('value').where('name', '=', 'audit').executeTakeFirst();
  const rows = last?.id ?? 0;
  const written = counter?.value ?? 0;
  const end = written === rows ? null : Math.min(written, rows) + 1;
  return { rows, brokenAt: broken ?? end, head: last?.hash ?? GENESIS };
}

/** The id of the first row that was changed, removed or put in; null when the chain holds. */
export async function findAuditBreak(tx: Tx): Promise<number | null> {
  let previous = GENESIS;
  let id = 0;
  for (;;) {
    const rows = await tx.selectFrom('audit').selectAll().where('id', '>', id).orderBy('id').limit(500).execute();
    for (const row of rows) {
      if (row.id !== id + 1 || row.prev_hash !== previous || row.hash !== hashOf(row)) return id + 1;
      id = row.id;
      previous = row.hash;
    }
    if (rows.length < 500) return null;
  }
}
