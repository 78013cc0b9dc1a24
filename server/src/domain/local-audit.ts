import { createHash } from 'node:crypto';
import { redact } from './redact.ts';

/**
 * A machine's own history: one line a change, each with the hash of the one before. Found are edits, gaps and a cut-off end; whoever owns the
 * account can write the whole anew, and only a head kept elsewhere shows that.
 */

export interface LocalChange {
  /** `install`, `update`, `remove`, `rollback`, `quarantine`, `refuse`, `join`, `config` … */
  what: string;
  /** A plugin, or a key of the configuration. */
  target: string;
  /** Where it came from: a hub, an origin and a signer; null where nothing came. */
  from: string | null;
  before: unknown;
  after: unknown;
  /** `done`, or the code that refused it. */
  result: string;
}

export interface LocalEntry extends LocalChange {
  /** Counts from 1. */
  n: number;
  /** ISO-8601. */
  at: string;
  who: string;
  prev: string;
  hash: string;
}

/** The last entry of a chain. */
export interface AuditHead {
  n: number;
  hash: string;
}

export const CHAIN_START: AuditHead = { n: 0, hash: '0'.repeat(64) };

function hashOf(entry: Omit<LocalEntry, 'hash'>): string {
  const { n, at, who, what, target, from, before, after, result, prev } = entry;
  const text = JSON.stringify([n, at, who, what, target, from, before, after, result]);
  return createHash('sha256').update(prev).update(text).digest('hex');
}

/** Lines for these changes, behind `head`, without secrets. */
export function sealEntries(
  head: AuditHead,
  changes: readonly LocalChange[],
  by: { at: string; who: string },
): { lines: string[]; head: AuditHead } {
  let last = head;
  const lines = changes.map(({ what, target, from, before, after, result }) => {
    const told = redact({ target, from, before: before ?? null, after: after ?? null });
    const { target: safe, ...rest } = told as Pick<LocalChange, 'target' | 'from' | 'before' | 'after'>;
    const open = { n: last.n + 1, ...by, what, target: safe, ...rest, result, prev: last.hash };
    const entry: LocalEntry = { ...open, hash: hashOf(open) };
    last = { n: entry.n, hash: entry.hash };
    return `${JSON.stringify(entry)}\n`;
  });
  return { lines, head: last };
}

const LOST = 'lost';

/** What stands in the history from then on where entries of it are gone. */
export const lostEntries = (written: AuditHead, last: AuditHead | null): LocalChange => ({
  ...{ what: LOST, target: 'the history', from: null, before: written, after: last, result: 'AUDIT_BROKEN' },
});

/** The entry that a line holds; null when it is none. */
export function parseEntry(line: string): LocalEntry | null {
  try {
    const entry = JSON.parse(line) as LocalEntry | null;
    return typeof entry?.n === 'number' && typeof entry.hash === 'string' ? entry : null;
  } catch {
    return null;
  }
}

export interface LocalProof {
  rows: number;
  /** Number of the first entry that was changed, removed or put in; null when all is as it was written. */
  brokenAt: number | null;
  head: AuditHead;
}

/**
 * Computes the chain again.
 * @param written the last entry that was written for certain, as kept elsewhere
 * @param begins these lines are all that there ever were; otherwise what came before the first was let go by rotation
 */
export function proveEntries(lines: readonly string[], written: AuditHead | undefined, begins: boolean): LocalProof {
  let last: AuditHead | undefined;
  let met = written === undefined || written.n === 0;
  for (const line of lines) {
    const entry = parseEntry(line);
    const due = (last?.n ?? 0) + 1;
    if (entry === null) return { rows: lines.length, brokenAt: due, head: last ?? CHAIN_START };
    const before = last ?? (begins || entry.n === 1 ? CHAIN_START : { n: entry.n - 1, hash: entry.prev });
    const holds = entry.n === before.n + 1 && entry.prev === before.hash && entry.hash === hashOf(entry);
    if (!holds || entry.what === LOST) return { rows: lines.length, brokenAt: before.n + 1, head: before };
    last = { n: entry.n, hash: entry.hash };
    if (entry.n === written?.n) {
      if (entry.hash !== written.hash) return { rows: lines.length, brokenAt: entry.n, head: last };
      met = true;
    }
  }
  const head = last ?? CHAIN_START;
  // An end that is missing: more was written than is here.
  return { rows: lines.length, brokenAt: met ? null : head.n + 1, head };
}
