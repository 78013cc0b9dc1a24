import { dirname } from 'node:path';
import { HaiveError } from '../../domain/errors.ts';
import { writeAtomic } from '../files/atomic-file.ts';
import { readFileOrNull } from '../files/file-port.ts';
import type { Machine } from '../machine.ts';
import { checkReceipts, haveFormat, jsonOf, type Receipts, readReceipts } from '../receipts/index.ts';
import type { Keep } from './keeps.ts';

/** What a change is about to do, on the disk before anything of it counts: recovery undoes it or does the rest from this alone. */
export interface Journal {
  phase: 'staging' | 'applying';
  /** Trees that are being written, relative to the root. */
  staged: string[];
  prev: Receipts;
  next: Receipts;
  /** Edits that are put aside. */
  keeps: Keep[];
  /** Folders below `~/.claude` that were missing, outermost first: they are made for copies before the commit. */
  missing: string[];
  /** Lines for audit.jsonl. */
  audit: string[];
  /** What the pointer file says once the change is made. */
  marketplace: string;
}

/**
 * As it is written: receipts that are the same before and after the change are left out of both, since receipts.json has them whether
 * it was replaced already or not.
 */
interface Written extends Journal {
  format: number;
  /** Names of all plugins of `next`, also of those whose receipts are left out; absent in journals of older programs. */
  order?: string[];
}

const FORMAT = 2;
/** Has all receipts whole. */
const OLDER_FORMAT = 1;

/** @param synced false: the caller syncs `journalPaths` before anything of the change counts */
export async function writeJournal(m: Machine, journal: Journal, synced: boolean): Promise<void> {
  const [prev, next] = [{ ...journal.prev.plugins }, { ...journal.next.plugins }];
  const order = Object.keys(next);
  for (const name of order.filter((name) => next[name] === prev[name])) {
    delete prev[name];
    delete next[name];
  }
  // The format goes first: by it a torn journal is told from something else.
  const written: Written = {
    format: FORMAT,
    ...journal,
    order,
    prev: { ...journal.prev, plugins: prev },
    next: { ...journal.next, plugins: next },
  };
  await writeAtomic(m.port, m.paths.journal, JSON.stringify(written), { fsync: synced });
}

export const journalPaths = (m: Machine): string[] => [m.paths.journal, dirname(m.paths.journal)];

/**
 * Null where no change is under way.
 * @throws HaiveError IO_ERROR for a journal, or receipts beside it, that are not to be understood, FORMAT_UNSUPPORTED
 */
export async function readJournal(m: Machine): Promise<Journal | null> {
  const bytes = await readFileOrNull(m.paths.journal);
  if (bytes === null) return null;
  const written = parsed(bytes);
  if (written === null) {
    // The power went before it was on the disk, and nothing that counts is done before that; what was staged is an orphan.
    if (isTorn(bytes)) return null;
    throw new HaiveError('IO_ERROR', `${m.paths.journal} is damaged`, {
      hint: 'Run `hv doctor --fix`: it puts the file aside and looks at what is installed.',
    });
  }
  const { format, order = [], keeps = [], missing = [], audit = [], ...rest } = written;
  if (format !== FORMAT && format !== OLDER_FORMAT) {
    throw new HaiveError('FORMAT_UNSUPPORTED', `${m.paths.journal} has format ${format}`);
  }
  checkReceipts(rest.prev, m.paths.journal);
  checkReceipts(rest.next, m.paths.journal);
  const left = order.filter((name) => rest.next.plugins[name] === undefined);
  const { plugins } = left.length === 0 ? { plugins: {} } : await readReceipts(m);
  const prev = { ...rest.prev, plugins: { ...pickOf(plugins, left), ...rest.prev.plugins } };
  const next = { ...rest.next, plugins: pickOf({ ...plugins, ...rest.next.plugins }, order) };
  return { ...rest, keeps, missing, audit, prev, next: order.length === 0 ? rest.next : next };
}

/** Whether a journal lies there of which no program could make anything. @throws HaiveError READ_ONLY, IO_ERROR */
export async function journalIsDamaged(m: Machine): Promise<boolean> {
  const bytes = await readFileOrNull(m.paths.journal);
  return bytes !== null && parsed(bytes) === null && !isTorn(bytes);
}

/** Null where the bytes are no journal, neither of this program nor, by its number, of a newer one. */
function parsed(bytes: Buffer): Written | null {
  const written = jsonOf(bytes) as Partial<Written> | null | undefined;
  const { format = 0, prev, next } = written ?? {};
  if (!Number.isInteger(format) || format < OLDER_FORMAT) return null;
  return format > FORMAT || (haveFormat(prev) && haveFormat(next)) ? (written as Written) : null;
}

/** In this order. One that is gone was taken away by hand: then the plugin is unknown, as without a journal. */
function pickOf(plugins: Receipts['plugins'], names: readonly string[]): Receipts['plugins'] {
  return Object.fromEntries(names.flatMap((name) => (plugins[name] === undefined ? [] : [[name, plugins[name]]])));
}

/** Whether these are bytes of a journal that a loss of power left: none, nothing but zeros, or its beginning. */
function isTorn(bytes: Buffer): boolean {
  const text = bytes.toString('utf8').replace(/\0+$/, '');
  const heads = [FORMAT, OLDER_FORMAT].map((format) => `{"format":${format},`);
  return heads.some((head) => head.startsWith(text) || (text.startsWith(head) && jsonOf(bytes) === undefined));
}
