import { HaiveError, toHaiveError } from '../../domain/errors.ts';
import { recover } from '../../machine/change/transaction.ts';
import { misplaced, putMisplacedAside } from '../../machine/places.ts';
import { withLock } from '../../machine/processes/lock.ts';
import type { ClientContext } from '../context.ts';
import { finishMigrations } from '../migrate/migrate.ts';
import { checkLoadedQuietly } from '../report/loaded.ts';
import { type SyncProgress, syncMachine } from '../sync/index.ts';
import { CLIENT_LOOKS } from './client-looks.ts';
import { FILE_LOOKS } from './file-looks.ts';
import { type Found, fail, type Looks, warn } from './found.ts';
import { HUB_LOOKS } from './hub-looks.ts';
import { mendTampering } from './mend.ts';
import { regain } from './regain.ts';

export interface DoctorCheck extends Found {
  /** Stable name: one of those of HUB_LOOKS, FILE_LOOKS and CLIENT_LOOKS. */
  check: string;
}

export interface DoctorResult {
  ok: boolean;
  checks: DoctorCheck[];
  /** What `--fix` did. */
  fixed: string[];
  /** What it could not do, and what to do about it. */
  failed: { message: string; fix: string }[];
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
  const { fixed, failed } = options.fix === true ? await mend(ctx, options.onProgress) : { fixed: [], failed: [] };
  const checks: DoctorCheck[] = [];
  const told = new Map<string, string>();
  for (const [check, look] of Object.entries(LOOKS)) {
    const found = await look(ctx).catch((thrown): Found => {
      const failure = asFailure(thrown);
      const first = told.get(failure.message);
      if (first !== undefined) return warn(`not known, for the same reason as \`${first}\``, '');
      told.set(failure.message, check);
      return failure;
    });
    checks.push({ check, ...found });
  }
  return { ok: failed.length === 0 && checks.every((c) => c.result !== 'fail'), checks, fixed, failed };
}

function asFailure(thrown: unknown): Found {
  const error = toHaiveError(thrown);
  return fail(`${error.code}: ${error.message}`, error.hint);
}

type Mended = Pick<DoctorResult, 'fixed' | 'failed'>;

async function mend(ctx: ClientContext, onProgress?: (progress: SyncProgress) => void): Promise<Mended> {
  const done: string[] = [];
  const failed: Mended['failed'] = [];
  const attempt = async (what: string, run: () => Promise<void>): Promise<void> => {
    try {
      await run();
    } catch (thrown) {
      if (!(thrown instanceof HaiveError)) throw thrown;
      failed.push({ message: `${what}: ${thrown.code}: ${thrown.message}`, fix: thrown.hint });
    }
  };
  const locked = <T>(run: () => Promise<T>): Promise<T> => withLock(ctx.machine, 'doctor', run, { waitMs: 10_000 });
  const clear = async (which: (path: string) => boolean): Promise<void> => {
    for (const wrong of misplaced(ctx.machine).filter(({ path }) => which(path)))
      done.push(`${wrong.path} was a ${wrong.is}, and lies in ${await putMisplacedAside(ctx.machine, wrong)}`);
  };
  await attempt('nothing could be mended', async () => {
    await clear((path) => path === ctx.machine.paths.lock);
    await locked(async () => {
      await clear(() => true);
      // An interrupted change is finished from its journal and the receipts together.
      await attempt('what is installed could not be found out', async () => void done.push(...(await regain(ctx))));
      if (failed.length > 0) return;
      const recovered = await recover(ctx.machine);
      if (recovered !== 'nothing') done.push(`an interrupted change was ${recovered.replace('-', ' ')}`);
    });
  });
  // All that follows begins with the same, and would say the same.
  if (failed.length > 0) return { fixed: done, failed };
  await attempt('the keys could not be mended', async () => {
    done.push(...(await locked(() => mendTampering(ctx.machine))));
  });
  for (const { name, version, backTo, left } of (await checkLoadedQuietly(ctx))?.failed ?? []) {
    if (!left) done.push(`${name} ${version} does not load; ${backTo === null ? 'it is gone' : `${backTo} is back`}`);
  }
  if (ctx.config.token === undefined) return { fixed: done, failed };
  await attempt('the sync failed', async () => {
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
    for (const { name, code, message, hint } of sync.problems.filter((problem) => problem.where === 'machine'))
      failed.push({ message: `${name} was not installed: ${code}: ${message}`, fix: hint ?? '' });
  });
  return { fixed: done, failed };
}
