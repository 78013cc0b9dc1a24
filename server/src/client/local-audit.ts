import { stat } from 'node:fs/promises';
import { ERRORS, type ErrorCode, formatError, HaiveError, toHaiveError } from '../domain/errors.ts';
import type { LocalChange, LocalEntry, LocalProof } from '../domain/local-audit.ts';
import { noteChanges, proveLocalAudit, readLocalAudit } from '../machine/audit/log.ts';
import { recover } from '../machine/change/transaction.ts';
import { statOf } from '../machine/files/file-port.ts';
import type { Machine } from '../machine/machine.ts';
import { withLock } from '../machine/processes/lock.ts';
import { readReceipts } from '../machine/receipts/index.ts';
import type { ClientContext } from './context.ts';
import { type FailedAttempt, forgetFailures, readFailures, spoolFailure } from './report/spool.ts';

/** Longer than any change of ours takes, milliseconds. */
const PATIENCE_MS = 30_000;

/**
 * Notes what is about to be changed outside of plugins (configuration, membership, keys). A crash may leave an entry of a change that
 * then was not made, never a change without its entry.
 * @param options.begins also where nothing of ours is on this machine yet
 * @throws HaiveError LOCKED, DISK_FULL, READ_ONLY, IO_ERROR
 */
export async function noteBefore(
  ctx: ClientContext,
  changes: readonly Pick<LocalChange, 'what' | 'target' | 'from' | 'before' | 'after'>[],
  options: { begins?: boolean } = {},
): Promise<void> {
  const { machine } = ctx;
  const there = await stat(machine.paths.root).then(
    () => true,
    () => false,
  );
  if (!there && options.begins !== true) return;
  await withLock(
    machine,
    'audit',
    async () => {
      await recover(machine);
      await noteChanges(
        machine,
        changes.map((change) => ({ ...change, result: 'done' })),
      );
    },
    { waitMs: PATIENCE_MS },
  );
}

/** What this machine would not do: `after` is what should have come, and why it did not. */
export type Refused = Omit<LocalChange, 'what'>;

/** The same, of an error and what it kept away; the hint that came with it is kept too. */
export const refusedWith = (
  { code, message, hint }: Pick<HaiveError, 'message' | 'hint'> & { code: string },
  kept: Omit<Refused, 'after' | 'result'> & { after: object },
): Refused => ({ ...kept, after: { ...kept.after, why: message, hint }, result: code });

/**
 * Notes what this machine would not do, once as long as the same is refused. The lock must be held and recovery done.
 * @throws HaiveError DISK_FULL, READ_ONLY, IO_ERROR
 */
export async function noteRefusals(ctx: ClientContext, refused: readonly Refused[]): Promise<void> {
  if (refused.length === 0) return;
  const last = await lastEntries(ctx.machine);
  const same = (r: Refused): boolean => {
    const entry = last.get(r.target);
    return entry?.result === r.result && JSON.stringify(entry.after) === JSON.stringify(r.after);
  };
  const fresh = refused.filter((r) => !same(r));
  await noteChanges(
    ctx.machine,
    fresh.map((r) => ({ what: 'refuse', ...r })),
  );
}

/** The last that happened to each plugin, and to each key of the configuration. */
const lastEntries = async (m: Machine): Promise<Map<string, LocalEntry>> =>
  new Map((await readLocalAudit(m)).map((entry) => [entry.target, entry]));

/** By digest, in words: why versions of which nothing came since were refused here, and what to do about it. */
export async function lastRefusals(m: Machine): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of (await lastEntries(m)).values()) {
    const refusal = refusalIn<{ digest?: string }>(entry);
    const digest = refusal?.after.digest;
    if (refusal !== null && digest !== undefined) found.set(digest, `refused when last tried: ${formatError(refusal)}`);
  }
  return found;
}

interface LastRefusal<T> {
  after: T;
  code: string;
  message: string;
  hint: string;
}

/** Why what was last wanted for this target was refused; null where something else came since. @throws HaiveError IO_ERROR */
export async function lastRefusal<T>(m: Machine, target: string): Promise<LastRefusal<T> | null> {
  return refusalIn((await lastEntries(m)).get(target));
}

function refusalIn<T>(entry: LocalEntry | undefined): LastRefusal<T> | null {
  if (entry?.what !== 'refuse') return null;
  const { result: code, after } = entry;
  const { why, hint } = after as { why: string; hint?: string };
  return { after: after as T, code, message: why, hint: hint ?? ERRORS[code as ErrorCode]?.hint ?? '' };
}

/** One plugin of a change that is under way. */
export type Attempt = Omit<FailedAttempt, 'code'>;

/**
 * Makes a change, and where it fails notes what was tried and which code ended it, once as long as the same fails. Where that cannot be
 * written now (no room, a change that recovery has yet to finish) a file without content stands for it until the next sync.
 * The lock must be held and recovery done.
 * @param work says what it is about to do before it does it
 * @throws what `work` throws, and nothing else
 */
export async function notingFailure<T>(
  ctx: ClientContext,
  work: (trying: (attempts: readonly Attempt[]) => void) => Promise<T>,
): Promise<T> {
  let under: readonly Attempt[] = [];
  try {
    return await work((attempts) => {
      under = attempts;
    });
  } catch (thrown) {
    const { code } = toHaiveError(thrown);
    const failed = under.map((attempt) => ({ ...attempt, code }));
    await noteFailures(ctx, failed).catch(() => spoolFailures(ctx, failed));
    throw thrown;
  }
}

async function noteFailures(ctx: ClientContext, failed: readonly FailedAttempt[]): Promise<void> {
  const { machine } = ctx;
  // Its lines are sealed already, and come before any other.
  if (statOf(machine.paths.journal) !== null) throw new HaiveError('LOCKED', 'A change is yet to be finished');
  const last = await lastEntries(machine);
  const fresh = failed.filter(({ what, name, version, code }) => {
    const entry = last.get(name);
    const told = (entry?.after as { version?: unknown } | null | undefined)?.version;
    return !(entry?.what === what && entry.result === code && told === version);
  });
  await noteChanges(
    machine,
    fresh.map(({ what, name, version, code }) => ({
      ...{ what, target: name, from: null, before: null, after: { version }, result: code },
    })),
  );
}

async function spoolFailures(ctx: ClientContext, failed: readonly FailedAttempt[]): Promise<void> {
  // A disk that takes not even a name: the error itself is what is left to say it.
  for (const attempt of failed) await spoolFailure(ctx.machine, attempt).catch(() => undefined);
}

/** Writes down what could not be when it failed. The lock must be held and recovery done. */
export async function noteSpooledFailures(ctx: ClientContext, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  // Where there is still no room they wait on.
  await noteFailures(ctx, readFailures(names)).then(
    () => forgetFailures(ctx.machine, names),
    () => undefined,
  );
}

/** This machine's own history, newest last, and whether it is as it was written. @throws HaiveError IO_ERROR */
export async function localAudit(ctx: ClientContext): Promise<{ entries: LocalEntry[]; proof: LocalProof }> {
  const entries = await readLocalAudit(ctx.machine);
  return { entries, proof: await proveLocalAudit(ctx.machine, (await readReceipts(ctx.machine)).audit) };
}
