import { isDeepStrictEqual } from 'node:util';
import { HaiveError } from '../../domain/errors.ts';
import type { Plan, PlanEntry } from '../../domain/plan/index.ts';
import { whyNotFollowed } from '../../domain/plan/lineage.ts';
import { recover } from '../../machine/change/transaction.ts';
import { type Config, readConfig, updateConfig } from '../../machine/config-file.ts';
import { keepCoreOwner } from '../../machine/core-owner.ts';
import { statOf } from '../../machine/files/file-port.ts';
import { leaveMachine } from '../../machine/leave.ts';
import { alignLoose } from '../../machine/loose/align.ts';
import type { Machine } from '../../machine/machine.ts';
import { withLock } from '../../machine/processes/lock.ts';
import { knownRevoked, quarantine } from '../../machine/quarantine.ts';
import { readReceipts } from '../../machine/receipts/index.ts';
import { getRecord } from '../../machine/store/blob-store.ts';
import { type ClientContext, hubFor } from '../context.ts';
import { regain } from '../doctor/regain.ts';
import { type HubClient, hubIsAway } from '../hub/hub-client.ts';
import { withOwnFolder } from '../join/client-folders.ts';
import { noteSpooledFailures, notingFailure } from '../local-audit.ts';
import { flushSpool } from '../report/spool.ts';
import { sendUsage } from '../report/usage.ts';
import type { Fetched } from '../transfer/asking.ts';
import { alignConfinement } from '../trust/confining.ts';
import { openVetting } from '../trust/vet.ts';
import { type Ahead, answerOf, askAhead } from './ask-ahead.ts';
import { carryOut } from './carry-out.ts';
import { collect } from './collect.ts';
import { type Deadline, startDeadline } from './deadline.ts';
import { foreseenRefusal, isSwitch } from './layout-wish.ts';
import { endLiftedHolds } from './lifted.ts';
import { PATIENCE, type SyncOptions } from './options.ts';
import { pick } from './pick.ts';
import { fetchPlan, inForce, keepPlan, type PlanAnswer, whyExpired } from './plan.ts';
import { outcome, place, type SyncResult } from './result.ts';
import { takeBannedAlone } from './take-banned.ts';
import { namesOf, report, reportRefusal } from './tell.ts';

export type { SyncMode, SyncOptions, SyncProgress } from './options.ts';
export type { SyncProblem, SyncResult } from './result.ts';

/**
 * Brings this machine to what its hub wants of it, as far as the policy allows: ask for the plan, lock, finish a crashed run, tell the hub
 * what happened without it (and ask again where that was something), fetch what is missing, apply in one step, report.
 * @throws HaiveError NOT_JOINED, LOCKED, HUB_UNREACHABLE, TIMEOUT, HUB_ANSWER_INVALID, SIGNATURE_INVALID, PLAN_REPLAYED, those of
 * files (DISK_FULL, READ_ONLY, IO_ERROR, SETTINGS_INVALID) and the hub's own. Nothing is half installed after any of them.
 */
export async function syncMachine(ctx: ClientContext, options: SyncOptions): Promise<SyncResult> {
  const patience = PATIENCE[options.mode];
  const real = await hubFor(ctx, 'machine', patience.call);
  const hub = options.through?.(real) ?? real;
  const deadline = startDeadline(patience, options.signal);
  try {
    if (!ctx.config.plugins.enabled) return nothing('plugins.enabled is false in the configuration');
    if (options.dryRun === true) return await preview(ctx, hub, options, deadline.signal);
    const since = options.since ?? (options.discardEdits === true ? await readReceipts(ctx.machine) : undefined);
    options.onProgress?.({ step: 'plan' });
    const ahead = await askAhead(ctx, hub, { signal: deadline.signal, fresh: options.force === true });
    const locked = () =>
      run(ctx, hub, { ...options, since }, deadline, ahead).catch(async (thrown) => {
        await options.order?.takeBack(hub, thrown);
        throw thrown;
      });
    const result = await withLock(ctx.machine, 'sync', locked, { waitMs: patience.lock });
    // In the background only: asking the client costs a quarter of a second.
    if (options.mode === 'agent' && result.reloadNeeded) await askWhetherLoaded(ctx, result);
    return result;
  } finally {
    deadline.end();
    hub.close();
  }
}

async function askWhetherLoaded(ctx: ClientContext, result: SyncResult): Promise<void> {
  const { checkLoadedQuietly } = await import('../report/loaded.ts');
  for (const { name, version, errors, backTo, left } of (await checkLoadedQuietly(ctx))?.failed ?? []) {
    const then = left ? 'it stays' : backTo === null ? 'it was taken away again' : `${backTo} is back`;
    result.warnings.push(`${name} ${version} does not load in Claude Code (${errors[0]}); ${then}`);
  }
}

function nothing(warning: string): SyncResult {
  const plan = { counter: 0, problems: [] };
  return { ...outcome(plan, { install: [], remove: [], waiting: [] }, true, false), warnings: [warning] };
}

async function preview(
  ctx: ClientContext,
  hub: HubClient,
  options: SyncOptions,
  signal: AbortSignal,
): Promise<SyncResult> {
  const answer = await fetchPlan(ctx, hub, { signal, fresh: true });
  const receipts = await readReceipts(ctx.machine);
  const { banned, judge } = await openVetting(ctx, answer.plan, receipts, { dryRun: true });
  const chosen = await pick(ctx, answer.plan, receipts, options, new Map(), banned);
  // What was fetched before can be judged; for the rest only the sync itself knows.
  const refused = await judge(chosen.install, await keptOf(ctx.machine, chosen.install));
  const picked = refused.size === 0 ? chosen : await pick(ctx, answer.plan, receipts, options, refused, banned);
  const result = outcome(answer.plan, picked, false, true);
  result.expired = whyExpired(ctx, answer.plan);
  if (result.expired !== null) result.warnings.push(result.expired);
  const { layout } = ctx.config.plugins;
  if (isSwitch(receipts, layout)) {
    result.layoutRefused = await foreseenRefusal(ctx, receipts, picked);
    if (result.layoutRefused === null) result.switched = { from: receipts.layout, to: layout };
  }
  for (const entry of picked.install) place(result, entry, receipts.plugins[entry.name]?.version ?? null, receipts);
  result.changed.removed = picked.remove;
  for (const name of picked.remove) {
    const why = banned.get(receipts.plugins[name]?.digest ?? '');
    if (why !== undefined) result.leaving.push({ name, why });
  }
  return result;
}

/** What of these versions lies here since an earlier fetch, whose signatures were checked then. */
async function keptOf(m: Machine, entries: readonly PlanEntry[]): Promise<Map<string, Fetched>> {
  const kept = new Map<string, Fetched>();
  for (const { digest } of entries) {
    const stored = await getRecord(m, digest);
    const keyid = stored?.envelope.signatures[0]?.keyid;
    if (stored !== null && keyid !== undefined) kept.set(digest, { record: stored.record, keyid });
  }
  return kept;
}

async function run(
  ctx: ClientContext,
  hub: HubClient,
  options: SyncOptions,
  deadline: Deadline,
  ahead: Ahead,
): Promise<SyncResult> {
  const { machine } = ctx;
  const { signal } = deadline;
  const warnings: string[] = [];
  // Another process may have synced, or left, while this one waited for the lock.
  ctx.config = await readConfig(machine);
  if (ctx.config.token === undefined) return await refuseLeft(machine);
  const recovered = await recover(machine);
  if (recovered !== 'nothing') warnings.push(`An interrupted change was ${recovered.replace('-', ' ')}`);
  if (statOf(machine.paths.receipts) === null) warnings.push(...(await regain(ctx)));
  const aligned = await alignConfinement(machine);
  if (aligned.length > 0)
    warnings.push(`Laid out again, as the policy's sandbox says now: ${aligned.join(', ')}; restart open sessions`);
  warnings.push(...(await alignLoose(machine, options.mode === 'explicit')));
  if (hubIsAway(ahead.thrown)) throw ahead.thrown;
  const told = await flushSpool(machine, hub, { signal }).catch(async (thrown) => {
    if (thrown instanceof HaiveError && ahead.answer !== undefined)
      await takeBannedAlone({ ctx, hub, options, signal }, ahead.answer.plan, thrown);
    throw thrown;
  });
  warnings.push(...told.warnings);
  await noteSpooledFailures(ctx, told.failures);
  await sendUsage(ctx, hub, signal);
  let answer: PlanAnswer;
  try {
    // What was told just now may have changed the plan.
    const asked = told.news ? undefined : answerOf(ctx, ahead);
    answer = asked ?? (await fetchPlan(ctx, hub, { signal, fresh: options.force === true }));
    if (options.order !== undefined) {
      await options.order.give(hub);
      answer = await fetchPlan(ctx, hub, { signal });
    }
  } catch (thrown) {
    if (thrown instanceof HaiveError && thrown.code === 'PLAN_REPLAYED') {
      // A person who asks has all told again, also what was edited meanwhile.
      const heard = told.news || options.mode === 'explicit' ? undefined : told.refused;
      if (thrown.message !== heard) await reportRefusal(ctx, hub, signal, thrown);
    }
    throw thrown;
  }
  // Nothing changed, the hub says: let it sign that anew.
  if (answer.notModified && whyExpired(ctx, answer.plan) !== null)
    answer = await fetchPlan(ctx, hub, { signal, fresh: true });
  const expired = whyExpired(ctx, answer.plan);
  const stale = expired !== null;
  if (stale) warnings.push(expired);
  const plan = stale ? onlyRevocations(answer.plan) : answer.plan;
  if (!stale && !answer.notModified) warnings.push(...(await endLiftedHolds(ctx, plan)));
  const done = await notingFailure(ctx, (trying) => carryOut({ ctx, hub, plan, options, deadline, stale, trying }));
  done.revoked = await takeAway(machine);
  if (await keepCoreOwner(machine)) {
    warnings.push(
      'haivemind-core was enabled twice; the one of the collective stays, the other comes back when you leave',
    );
  }
  if (!answer.notModified) ctx.config = { ...ctx.config, plan: placeOf(answer) };
  const result = { ...done, expired, notModified: answer.notModified, warnings: [...warnings, ...done.warnings] };
  const moved = result.reloadNeeded || !answer.notModified || options.mode === 'explicit' || told.reportDue;
  const only = told.reportDue ? undefined : newsOf(options, result);
  // While the hub hears of it, what only saves the next question is written down here.
  const said = await Promise.allSettled([
    moved ? report(ctx, hub, options, signal, result, only) : undefined,
    remember(ctx, answer),
  ]);
  for (const one of said) if (one.status === 'rejected') throw one.reason;
  if (result.reloadNeeded) await collect(machine, options.mode);
  return result;
}

/** What taking the lock made goes again. */
async function refuseLeft(m: Machine): Promise<never> {
  if (statOf(m.paths.receipts) === null) await leaveMachine(m);
  throw new HaiveError('NOT_JOINED', 'This machine has left its hub');
}

/**
 * Which plugins the report is about. A change is told alone where only that was asked for or it came by itself: all that is here
 * would be hashed again, and a fleet of full reports at every publication would cost more than the publication.
 */
function newsOf(options: SyncOptions, result: SyncResult): string[] | undefined {
  if (options.only !== undefined) return [...new Set([...options.only, ...namesOf(result)])];
  return options.mode === 'agent' && result.reloadNeeded ? namesOf(result) : undefined;
}

/** An old plan may have been kept back or sent again: it can take revoked versions away, and change nothing else. */
const onlyRevocations = (plan: Plan): Plan => ({ ...plan, plugins: [] });

/** Revoked trees go out of reach also where nothing else had to change. */
async function takeAway(m: Machine): Promise<SyncResult['revoked']> {
  const revoked = await knownRevoked(m);
  return revoked.size === 0 ? [] : quarantine(m, revoked);
}

/** Keeps the plan's etag and place in time, and what the hub says of this machine, once it was acted on. */
async function remember(ctx: ClientContext, answer: PlanAnswer): Promise<void> {
  const { groups, capabilities, plan } = ctx.config;
  const said = inForce(ctx.config, answer.plan);
  // What came with an earlier plan an older program has not kept.
  const known = isDeepStrictEqual(said, { groups, capabilities });
  const folders = withOwnFolder(ctx, ctx.config);
  const named = folders.length === ctx.config.claude_folders?.length;
  if (answer.notModified && known && named && plan?.lineage !== undefined) return;
  if (!answer.notModified) await keepPlan(ctx, answer);
  ctx.config = await updateConfig(
    ctx.machine,
    (raw) => {
      // Another CLAUDE_CONFIG_DIR of this HOME has a lock of its own, and may have followed a newer one meanwhile.
      if (whyNotFollowed(answer.plan, raw.plan as Config['plan']) !== null) return raw;
      return { ...raw, plan: placeOf(answer), ...(known ? {} : said), claude_folders: withOwnFolder(ctx, raw) };
    },
    { settled: false },
  );
}

const placeOf = ({ etag, plan: { counter, epoch, lineage = [] } }: PlanAnswer) => ({
  etag: etag ?? '',
  counter,
  epoch,
  lineage,
});

/** True for a failed sync that only means: later. */
export function tryLater(thrown: unknown): boolean {
  return hubIsAway(thrown) || (thrown instanceof HaiveError && thrown.code === 'LOCKED');
}
