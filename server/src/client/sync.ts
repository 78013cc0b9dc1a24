import { HaiveError } from '../domain/errors.ts';
import { type InstalledFacts, type Picked, pickChanges } from '../domain/pick-changes.ts';
import type { Plan, PlanEntry } from '../domain/plan.ts';
import { collectBlobs } from '../machine/blob-store.ts';
import { readConfig, updateConfig } from '../machine/config-file.ts';
import { keepCoreOwner } from '../machine/core-owner.ts';
import { inspect } from '../machine/drift.ts';
import { collectVersions } from '../machine/leases.ts';
import { withLock } from '../machine/lock.ts';
import type { Machine } from '../machine/machine.ts';
import { knownRevoked, quarantine } from '../machine/quarantine.ts';
import { type Receipts, readReceipts, refuseDigest, updateReceipts } from '../machine/receipts.ts';
import { applyChange, type Change, recover } from '../machine/transaction.ts';
import { type ClientContext, hubFor } from './context.ts';
import { type HubClient, hubIsAway } from './hub-client.ts';
import { fetchPlan, keepPlan, type PlanAnswer } from './plan.ts';
import { sendReport } from './report.ts';
import { flushSpool, spool } from './spool.ts';
import { finished, outcome, place, type SyncResult } from './sync-result.ts';
import { type Fetched, fetchVersions } from './transfer.ts';
import { openVetting } from './vet.ts';

export type { SyncProblem, SyncResult } from './sync-result.ts';

/** `session`: at a session's start, bounded · `agent`: by itself, in the background · `explicit`: a person asked for it. */
export type SyncMode = 'session' | 'explicit' | 'agent';

export interface SyncProgress {
  step: 'plan' | 'fetch' | 'apply' | 'report';
  /** Plugins this is about. */
  names?: string[];
  /** The version that comes, by plugin. */
  versions?: Record<string, string>;
  /** Bytes received so far, while fetching. */
  bytes?: number;
}

export interface SyncOptions {
  mode: SyncMode;
  /** Only says what would change. */
  dryRun?: boolean;
  /** Reinstalls what is in step too, over the user's edits (kept in a backup), and tries refused versions again. */
  force?: boolean;
  /** Only these plugins, and what they need. */
  only?: string[];
  /** Installed and updated whatever the policy says. */
  always?: string[];
  /** Follow the policy of the configuration though the mode is explicit (at join). */
  byPolicy?: boolean;
  /** Names of plugins that a person looked at and said yes to. */
  confirmed?: readonly string[];
  reason?: Change['reason'];
  /** Updates replace the user's edits (kept in a backup). */
  discardEdits?: boolean;
  /** Of what is removed, these keep no edits as an overlay. */
  purge?: string[];
  onProgress?: (progress: SyncProgress) => void;
  signal?: AbortSignal | undefined;
}

/** How patient each mode is, milliseconds. */
const PATIENCE = {
  session: { lock: 500, call: 2_000, all: 6_000, attempts: 1 },
  agent: { lock: 10_000, call: 30_000, all: 600_000, attempts: 4 },
  explicit: { lock: 30_000, call: 30_000, all: 1_800_000, attempts: 4 },
} as const;

/**
 * Brings this machine to what its hub wants of it, as far as the policy allows: lock, finish a crashed run, tell the hub what
 * happened without it, plan, fetch what is missing, apply in one step, report.
 * @throws HaiveError NOT_JOINED, LOCKED, HUB_UNREACHABLE, TIMEOUT, HUB_ANSWER_INVALID, SIGNATURE_INVALID, PLAN_REPLAYED, those of
 * files (DISK_FULL, READ_ONLY, IO_ERROR, SETTINGS_INVALID) and the hub's own. Nothing is half installed after any of them.
 */
export async function syncMachine(ctx: ClientContext, options: SyncOptions): Promise<SyncResult> {
  const patience = PATIENCE[options.mode];
  const signal = AbortSignal.any([
    AbortSignal.timeout(patience.all),
    ...(options.signal === undefined ? [] : [options.signal]),
  ]);
  const hub = await hubFor(ctx, 'machine', patience.call);
  try {
    if (!ctx.config.plugins.enabled) return nothing('plugins.enabled is false in the configuration');
    if (options.dryRun === true) return await preview(ctx, hub, options, signal);
    const result = await withLock(ctx.machine, 'sync', () => run(ctx, hub, options, signal), {
      waitMs: patience.lock,
    });
    // In the background only: asking the client costs a quarter of a second.
    if (options.mode === 'agent' && result.reloadNeeded) await askWhetherLoaded(ctx, result);
    return result;
  } finally {
    hub.close();
  }
}

async function askWhetherLoaded(ctx: ClientContext, result: SyncResult): Promise<void> {
  const { checkLoadedQuietly } = await import('./loaded.ts');
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
  const { banned } = await openVetting(ctx, answer.plan, receipts, { dryRun: true });
  const picked = await pick(ctx, answer.plan, receipts, options, new Map(), banned);
  const result = outcome(answer.plan, picked, false, true);
  for (const entry of picked.install) place(result, entry, receipts.plugins[entry.name]?.version ?? null, receipts);
  result.changed.removed = picked.remove;
  return result;
}

async function run(ctx: ClientContext, hub: HubClient, options: SyncOptions, signal: AbortSignal): Promise<SyncResult> {
  const { machine } = ctx;
  const warnings: string[] = [];
  const recovered = await recover(machine);
  if (recovered !== 'nothing') warnings.push(`An interrupted change was ${recovered.replace('-', ' ')}`);
  // Another process may have synced while this one waited for the lock.
  ctx.config = await readConfig(machine);
  const told = await flushSpool(machine, hub, { signal });
  warnings.push(...told.warnings);
  options.onProgress?.({ step: 'plan' });
  let answer = await fetchPlan(ctx, hub, { signal, fresh: options.force === true });
  // Nothing changed, the hub says: let it sign that anew.
  if (answer.notModified && expired(ctx, answer)) answer = await fetchPlan(ctx, hub, { signal, fresh: true });
  const stale = expired(ctx, answer);
  if (stale) {
    warnings.push(
      `The hub's plan expired at ${answer.plan.expiresAt}: what is here stays, nothing new comes. Is a clock wrong?`,
    );
  }
  const done = await carryOut(ctx, hub, stale ? onlyRevocations(answer.plan) : answer.plan, options, signal, stale);
  done.revoked = await takeAway(machine);
  if (await keepCoreOwner(machine)) {
    warnings.push(
      'haivemind-core was enabled twice; the one of the collective stays, the other comes back when you leave',
    );
  }
  await remember(ctx, answer);
  const result = { ...done, notModified: answer.notModified, warnings: [...warnings, ...done.warnings] };
  const moved = result.reloadNeeded || !answer.notModified || options.mode === 'explicit' || told.reportDue;
  // By itself a change is told alone: a fleet of full reports at every publication would cost more than the publication.
  const only = options.mode === 'agent' && !told.reportDue && result.reloadNeeded ? namesOf(result) : undefined;
  if (moved) await report(ctx, hub, options, signal, result, only);
  if (result.reloadNeeded) await collect(machine, options.mode);
  return result;
}

function namesOf({ changed }: SyncResult): string[] {
  const moved = [...changed.installed, ...changed.updated, ...changed.reinstalled];
  return [...moved.map((p) => p.name), ...changed.removed];
}

const expired = (ctx: ClientContext, answer: PlanAnswer): boolean => !(new Date(answer.plan.expiresAt) > ctx.clock());

/** An old plan may have been kept back or sent again: it can take revoked versions away, and change nothing else. */
const onlyRevocations = (plan: Plan): Plan => ({ ...plan, plugins: [] });

/** Revoked trees go out of reach also where nothing else had to change. */
async function takeAway(m: Machine): Promise<SyncResult['revoked']> {
  const revoked = await knownRevoked(m);
  return revoked.size === 0 ? [] : quarantine(m, revoked);
}

async function report(
  ctx: ClientContext,
  hub: HubClient,
  options: SyncOptions,
  signal: AbortSignal,
  result: SyncResult,
  only: readonly string[] | undefined,
): Promise<void> {
  options.onProgress?.({ step: 'report' });
  try {
    await sendReport(ctx, hub, { signal, only });
  } catch (thrown) {
    await spool(ctx.machine, { call: 'report' });
    if (!(thrown instanceof HaiveError)) throw thrown;
    result.warnings.push(`The hub was not told of the result (${thrown.code}); it will be with the next sync`);
  }
}

/** Picks, fetches and applies; what fails its checks is refused, and the rest is picked again without it. */
async function carryOut(
  ctx: ClientContext,
  hub: HubClient,
  plan: Plan,
  options: SyncOptions,
  signal: AbortSignal,
  stale: boolean,
): Promise<SyncResult> {
  const { machine } = ctx;
  const failed = new Map<string, HaiveError>();
  const vetting = await openVetting(ctx, plan, await readReceipts(machine), options);
  for (let round = 0; ; round++) {
    const receipts = await readReceipts(machine);
    const picked = await pick(ctx, plan, receipts, options, failed, vetting.banned);
    if (stale) picked.remove = picked.remove.filter((name) => vetting.banned.has(receipts.plugins[name]?.digest ?? ''));
    const result = outcome(plan, picked, false, false);
    for (const [digest, error] of failed) {
      const entry = plan.plugins.find((p) => p.digest === digest);
      const about = entry === undefined ? { name: digest } : { name: entry.name, version: entry.version };
      result.problems.push({ ...about, code: error.code, message: error.message, where: 'machine' });
    }
    const switching = receipts.layout !== ctx.config.plugins.layout && Object.keys(receipts.plugins).length > 0;
    if (picked.install.length === 0 && picked.remove.length === 0 && !switching) return result;
    const fetched = await fetchAll(ctx, hub, plan, picked.install, receipts, options, signal);
    if (fetched.failed.size > 0) {
      for (const [digest, error] of fetched.failed) {
        failed.set(digest, error);
        if (LASTING.has(error.code)) await refuseDigest(machine, digest, `${error.code}: ${error.message}`);
      }
      continue;
    }
    const refused = await vetting.judge(picked.install, fetched.fetched);
    if (refused.size > 0) {
      for (const [digest, error] of refused) failed.set(digest, error);
      continue;
    }
    options.onProgress?.({
      step: 'apply',
      names: [...picked.install.map((e) => e.name), ...picked.remove],
      versions: versionsOf(picked.install),
    });
    try {
      const change = { ...toChange(picked, fetched.fetched, receipts, options), layout: ctx.config.plugins.layout };
      const applied = await applyChange(machine, change);
      await forgive(machine, picked, receipts);
      return finished(result, picked, applied, receipts);
    } catch (thrown) {
      // One plugin that does not fit this machine's layout keeps no other from being installed.
      const unfit = picked.install.find((entry) => isUnfit(thrown, entry.name));
      if (unfit !== undefined && !failed.has(unfit.digest)) {
        failed.set(unfit.digest, thrown as HaiveError);
        continue;
      }
      // A blob was damaged on this disk: it is gone now, and is fetched again once.
      const damaged = thrown instanceof HaiveError && ['HASH_MISMATCH', 'BLOB_MISSING'].includes(thrown.code);
      if (!damaged || round > 0) throw thrown;
    }
  }
}

/** What came through its checks after all is refused no more. */
async function forgive(m: Machine, picked: Picked, before: Receipts): Promise<void> {
  const passed = picked.install.map((entry) => entry.digest).filter((digest) => before.refused[digest] !== undefined);
  if (passed.length === 0) return;
  await updateReceipts(m, (receipts) => {
    for (const digest of passed) delete receipts.refused[digest];
  });
}

const COLLECT_EVERY_MS = 3600_000;
const collected = new Map<string, number>();

/** Trees and bytes that nobody can need any more go; a session's start is no time for that, and an agent need not look often. */
async function collect(m: Machine, mode: SyncMode): Promise<void> {
  const now = m.clock().getTime();
  if (mode === 'session' || now - (collected.get(m.paths.root) ?? Number.NEGATIVE_INFINITY) < COLLECT_EVERY_MS) return;
  collected.set(m.paths.root, now);
  await collectVersions(m);
  const { plugins, retired } = await readReceipts(m);
  const trees = [...Object.values(plugins).flatMap((p) => [p, ...p.previous]), ...retired];
  await collectBlobs(
    m,
    trees.map((tree) => tree.digest),
  );
}

const isUnfit = (thrown: unknown, name: string): boolean =>
  thrown instanceof HaiveError &&
  (thrown.code === 'NAME_CLASH' || thrown.code === 'LAYOUT_UNSUPPORTED') &&
  thrown.details?.name === name;

/** Failures that the same bytes would meet again. */
const LASTING = new Set(['SIGNATURE_INVALID', 'DIGEST_MISMATCH', 'PLUGIN_TOO_LARGE', 'PATH_UNSAFE', 'PATH_COLLISION']);

async function pick(
  ctx: ClientContext,
  plan: Plan,
  receipts: Receipts,
  options: SyncOptions,
  failed: ReadonlyMap<string, HaiveError>,
  banned: ReadonlyMap<string, string>,
): Promise<Picked> {
  const { plugins } = ctx.config;
  const asked = options.mode === 'explicit' && options.byPolicy !== true;
  const sourceAllowed = plugins.allowed_sources.includes('haivemind');
  const force = options.force === true;
  const refused = new Map([
    // A person who asks may ask again; what happens by itself does not.
    ...(force || asked ? [] : Object.entries(receipts.refused).map(([digest, r]) => [digest, r.reason] as const)),
    ...[...failed].map(([digest, error]) => [digest, error.message] as const),
  ]);
  const installed = new Map<string, InstalledFacts>(Object.entries(receipts.plugins));
  const here = new Set(Object.values(receipts.plugins).map((p) => p.digest));
  // What failed in this very run is not tried again by force either.
  const barred = [...failed].flatMap(([digest, e]) => (here.has(digest) ? [] : [[digest, e.message] as const]));
  const repair =
    options.mode === 'explicit'
      ? new Set(
          (await inspect(ctx.machine)).filter((p) => p.state === 'missing' || p.state === 'damaged').map((p) => p.name),
        )
      : undefined;
  return pickChanges({
    plan: plan.plugins,
    problems: plan.problems,
    installed,
    banned: new Map([...barred, ...banned]),
    holds: new Set(Object.keys(receipts.holds)),
    refused,
    policy: {
      installNew: sourceAllowed && (asked || plugins.machine_group_auto_install),
      installUpdates: sourceAllowed && (asked || plugins.auto_install_updates),
    },
    always: options.always,
    only: options.only,
    repair,
    force,
  });
}

async function fetchAll(
  ctx: ClientContext,
  hub: HubClient,
  plan: Plan,
  install: readonly PlanEntry[],
  receipts: Receipts,
  options: SyncOptions,
  signal: AbortSignal,
): Promise<{ fetched: Map<string, Fetched>; failed: Map<string, HaiveError> }> {
  if (install.length === 0 || ctx.config.hub === undefined) return { fetched: new Map(), failed: new Map() };
  const names = install.map((e) => e.name);
  options.onProgress?.({ step: 'fetch', names, versions: versionsOf(install), bytes: 0 });
  return fetchVersions(ctx.machine, hub, install, {
    hub: ctx.config.hub,
    maxBytes: ctx.config.plugins.max_plugin_size_mb * 1024 * 1024,
    installed: Object.values(receipts.plugins),
    revokedKeys: plan.revokedKeys,
    attempts: PATIENCE[options.mode].attempts,
    signal,
    onBytes: (bytes) => options.onProgress?.({ step: 'fetch', names, bytes }),
  });
}

const versionsOf = (entries: readonly PlanEntry[]): Record<string, string> =>
  Object.fromEntries(entries.map((entry) => [entry.name, entry.version]));

function toChange(
  picked: Picked,
  fetched: ReadonlyMap<string, Fetched>,
  receipts: Receipts,
  options: SyncOptions,
): Change {
  const install = picked.install.map((entry) => {
    const got = fetched.get(entry.digest);
    if (got === undefined) throw new HaiveError('BLOB_MISSING', `${entry.name}@${entry.version} was not fetched`);
    return { entry, record: got.record, keyid: got.keyid };
  });
  const moved = (name: string, held: string): boolean =>
    picked.remove.includes(name) || picked.install.some((entry) => entry.name === name && entry.digest !== held);
  const clear = Object.entries(receipts.holds).flatMap(([name, hold]) => (moved(name, hold.digest) ? [name] : []));
  return {
    install,
    remove: picked.remove,
    reason: options.reason ?? 'sync',
    overwriteEdits: options.force === true || options.discardEdits === true,
    ...(options.purge === undefined ? {} : { purge: options.purge }),
    ...(clear.length > 0 ? { holds: { clear } } : {}),
  };
}

/** Keeps the plan's etag and place in time, once it was acted on. */
async function remember(ctx: ClientContext, answer: PlanAnswer): Promise<void> {
  if (answer.notModified) return;
  await keepPlan(ctx, answer);
  const { counter, epoch } = answer.plan;
  ctx.config = await updateConfig(ctx.machine, (raw) => {
    raw.plan = { etag: answer.etag ?? '', counter, epoch };
    return raw;
  });
}

/** True for a failed sync that only means: later. */
export function tryLater(thrown: unknown): boolean {
  return hubIsAway(thrown) || (thrown instanceof HaiveError && thrown.code === 'LOCKED');
}
