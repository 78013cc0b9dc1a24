import { userInfo } from 'node:os';
import { basename } from 'node:path';
import {
  type AuditHead,
  CHAIN_START,
  type LocalChange,
  type LocalEntry,
  type LocalProof,
  lostEntries,
  parseEntry,
  proveEntries,
  sealEntries,
} from '../../domain/local-audit.ts';
import { writeAtomic } from '../files/atomic-file.ts';
import { readFileOrNull } from '../files/file-port.ts';
import { ensureRoot, type Machine } from '../machine.ts';

/**
 * What was changed on this machine, a line each, at most two files of it. Lines of a transaction lie in its journal first, and are
 * appended once, however often it is finished: a crash loses none and breaks no chain. The lock must be held by whoever writes.
 */

/** Bytes after which a file is put aside and the one put aside before it goes: some seven hundred changes. */
export const FULL = 256 * 1024;

const NEWLINE = '\n';

async function textOf(path: string): Promise<string> {
  return (await readFileOrNull(path))?.toString('utf8') ?? '';
}

/** Without the half line that a loss of power may leave. */
const wholeLines = (text: string): string => text.slice(0, text.lastIndexOf(NEWLINE) + 1);

/** Undefined where there is none; a full history is not taken apart for that. */
function lastLine(text: string): string | undefined {
  const end = text.lastIndexOf(NEWLINE);
  return end < 0 ? undefined : text.slice(text.lastIndexOf(NEWLINE, end - 1) + 1, end);
}

const linesOf = (text: string): string[] => wholeLines(text).split(NEWLINE).slice(0, -1);

/** Who acts here: the account, and the program. */
function whoActs(): string {
  const program = basename(process.argv[1] ?? process.execPath);
  try {
    return `${userInfo().username} (${program})`;
  } catch {
    return `user ${process.getuid?.() ?? '?'} (${program})`;
  }
}

/** The last entry here; null where there is none, or its line is none any more. */
async function lastEntry(m: Machine): Promise<AuditHead | null> {
  const line = lastLine(await textOf(m.paths.audit)) ?? lastLine(await textOf(m.paths.auditBefore));
  const entry = line === undefined ? null : parseEntry(line);
  return entry === null ? null : { n: entry.n, hash: entry.hash };
}

/**
 * Lines for a transaction's journal.
 * @param known the head that the receipts name: entries up to it that are gone are written down as lost, so that it stays known
 */
export async function sealChanges(
  m: Machine,
  changes: readonly LocalChange[],
  known: AuditHead | undefined,
): Promise<{ lines: string[]; head: AuditHead }> {
  const last = await lastEntry(m);
  const missing = known !== undefined && known.n > (last?.n ?? 0);
  const all = missing ? [lostEntries(known, last), ...changes] : changes;
  return sealEntries(last ?? known ?? CHAIN_START, all, { at: m.clock().toISOString(), who: whoActs() });
}

/** Appends those lines that are not there yet, with one wait for the disk. Safe to be stopped and done again. */
export async function appendLines(m: Machine, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const { audit, auditBefore } = m.paths;
  const text = await textOf(audit);
  const whole = wholeLines(text);
  let missing = lines.filter((line) => !whole.includes(line));
  if (missing.length > 0 && (missing.length < lines.length || whole === '')) {
    const older = await textOf(auditBefore);
    missing = missing.filter((line) => !older.includes(line));
  }
  const added = missing.join('');
  if (added !== '' && whole.length < text.length) {
    await writeAtomic(m.port, audit, whole + added, { mode: 0o600 });
    return;
  }
  const begins = whole === '' || whole.length >= FULL;
  if (added !== '') {
    if (whole.length >= FULL) await m.port.rename(audit, auditBefore);
    await m.port.writeFile(audit, added, { append: true, mode: 0o600 });
  }
  // Also where nothing is added: who appended may have died before it was on the disk.
  await m.port.fsync(audit);
  if (begins) await m.port.fsync(m.paths.root);
}

/**
 * Notes changes that have no journal; before they are made, so that none goes unnoted. The lock must be held and recovery done.
 * @param known the head that the receipts name; what was noted after it is not noted again
 */
export async function noteChanges(
  m: Machine,
  changes: readonly LocalChange[],
  known?: AuditHead,
): Promise<AuditHead | undefined> {
  const since = known === undefined ? [] : (await readLocalAudit(m)).filter((entry) => entry.n > known.n);
  const told = (c: LocalChange): string => JSON.stringify([c.what, c.target, c.before]);
  const fresh = changes.filter((change) => !since.some((entry) => told(entry) === told(change)));
  if (changes.length === 0) return known;
  await ensureRoot(m);
  const { lines, head } = await sealChanges(m, fresh, known);
  await appendLines(m, lines);
  return head;
}

/** Everything that is kept, oldest first; lines that are no entries are left out. */
export async function readLocalAudit(m: Machine): Promise<LocalEntry[]> {
  return (await keptLines(m)).flatMap((line) => parseEntry(line) ?? []);
}

/** Whether what is kept is as it was written. @param known the head that the receipts name */
export async function proveLocalAudit(m: Machine, known: AuditHead | undefined): Promise<LocalProof> {
  const begins = (await readFileOrNull(m.paths.auditBefore)) === null;
  return proveEntries(await keptLines(m), known, begins);
}

async function keptLines(m: Machine): Promise<string[]> {
  return [...linesOf(await textOf(m.paths.auditBefore)), ...linesOf(await textOf(m.paths.audit))];
}
