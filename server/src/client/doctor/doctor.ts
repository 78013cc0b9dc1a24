import { HaiveError, toHaiveError } from '../../domain/errors.ts';
import { withLock } from '../../machine/lock.ts';
import { recover } from '../../machine/transaction.ts';
import type { ClientContext } from '../context.ts';
import { checkLoadedQuietly } from '../loaded.ts';
import { mendTampering } from '../mend.ts';
import { finishMigrations } from '../migrate/migrate.ts';
import { type SyncProgress, syncMachine } from '../sync.ts';
import { CLIENT_LOOKS } from './client-looks.ts';
import { FILE_LOOKS } from './file-looks.ts';
import { type Found, fail, type Looks } from './found.ts';
import { HUB_LOOKS } from './hub-looks.ts';

export interface DoctorCheck extends Found {
  /** Stable name: one of those of HUB_LOOKS, FILE_LOOKS and CLIENT_LOOKS. */
  check: string;
}

export interface DoctorResult {
  ok: boolean;
  checks: DoctorCheck[];
  /** What `--fix` did. */
  fixed: string[];
}

const LOOKS: Looks = { ...HUB_LOOKS, ...FILE_LOOKS, ...CLIENT_LOOKS };

/**
 * Looks at everything this machine's side depends on. Never throws for what it finds.
 * @param options.fix finish a crashed run and sync again
 */
export async function runDoctor(
  ctx: ClientContext,
  options: { fix?: boolean; onProgress?: (progress: SyncProgress) => void } = {},
): Promise<DoctorResult> {
  const fixed = options.fix === true ? await mend(ctx, options.onProgress) : [];
  const checks: DoctorCheck[] = [];
  for (const [check, look] of Object.entries(LOOKS)) {
    checks.push({ check, ...(await look(ctx).catch(asFailure)) });
  }
  return { ok: checks.every((c) => c.result !== 'fail'), checks, fixed };
}

function asFailure(thrown: unknown): Found {
  const error = toHaiveError(thrown);
  return fail(`${error.code}: ${error.message}`, error.hint);
}

async function mend(ctx: ClientContext, onProgress?: (progress: SyncProgress) => void): Promise<string[]> {
  const done: string[] = [];
  const recovered = await withLock(ctx.machine, 'doctor', () => recover(ctx.machine), { waitMs: 10_000 });
  if (recovered !== 'nothing') done.push(`an interrupted change was ${recovered.replace('-', ' ')}`);
  done.push(...(await mendKeys(ctx)));
  for (const { name, version, backTo, left } of (await checkLoadedQuietly(ctx))?.failed ?? []) {
    if (!left) done.push(`${name} ${version} does not load; ${backTo === null ? 'it is gone' : `${backTo} is back`}`);
  }
  if (ctx.config.token === undefined) return done;
  try {
    const { finished } = await finishMigrations(ctx);
    if (finished.length > 0) done.push(`took away what ${finished.join(', ')} replaced`);
    const sync = await syncMachine(ctx, {
      mode: 'explicit',
      byPolicy: true,
      ...(onProgress === undefined ? {} : { onProgress }),
    });
    const { installed, updated, reinstalled, removed } = sync.changed;
    const names = [...installed, ...updated, ...reinstalled].map((p) => p.name);
    if (names.length > 0) done.push(`installed ${names.join(', ')}`);
    if (removed.length > 0) done.push(`removed ${removed.join(', ')}`);
  } catch (thrown) {
    if (!(thrown instanceof HaiveError)) throw thrown;
    done.push(`the sync failed: ${thrown.code}: ${thrown.message}`);
  }
  return done;
}

async function mendKeys(ctx: ClientContext): Promise<string[]> {
  try {
    return await withLock(ctx.machine, 'doctor', () => mendTampering(ctx.machine), { waitMs: 10_000 });
  } catch (thrown) {
    if (!(thrown instanceof HaiveError)) throw thrown;
    return [`the keys could not be mended: ${thrown.code}: ${thrown.message}`];
  }
}
