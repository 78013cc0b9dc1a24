import { againstLock, isAsLocked, type Locked, lockMismatch } from '../../domain/desired/lockfile.ts';
import { HaiveError, toHaiveError } from '../../domain/errors.ts';
import type { Plan } from '../../domain/plan/index.ts';
import type { Picked } from '../../domain/plan/pick-changes.ts';
import { applyChange, type Change } from '../../machine/change/transaction.ts';
import type { Machine } from '../../machine/machine.ts';
import { type Receipts, readReceipts, refuseDigest, updateReceipts } from '../../machine/receipts/index.ts';
import { createFresh } from '../../machine/store/intake.ts';
import type { ClientContext } from '../context.ts';
import type { HubClient } from '../hub/hub-client.ts';
import { checkBeforeInstall } from '../install/preflight.ts';
import { type Attempt, noteRefusals } from '../local-audit.ts';
import type { Fetched } from '../transfer/asking.ts';
import { takeLauncher } from '../trust/confining.ts';
import { rememberRevokedKeys } from '../trust/publisher-keys.ts';
import { openVetting, type Vetting } from '../trust/vet.ts';
import type { Deadline } from './deadline.ts';
import { fetchPicked, versionsOf } from './fetch-picked.ts';
import { doWithout, type Found, giveUpSwitch, type Round, tellFound } from './found.ts';
import { isSwitch } from './layout-wish.ts';
import type { SyncOptions } from './options.ts';
import { pick } from './pick.ts';
import { finished, outcome, type SyncResult } from './result.ts';
import { bannedOf, takeBanned } from './take-banned.ts';

/** What one sync goes by. */
interface Sync {
  ctx: ClientContext;
  hub: HubClient;
  plan: Plan;
  options: SyncOptions;
  deadline: Deadline;
  /** The plan expired: it only takes away what may not run. */
  stale: boolean;
  /** Told what is under way, in case all of it fails. */
  trying: (attempts: readonly Attempt[]) => void;
}

/** The same in all rounds of one sync. */
interface Run extends Sync {
  machine: Machine;
  vetting: Vetting;
}

/**
 * Picks, fetches and applies; what fails its checks is refused, and the rest is picked again without it. So is a switch of the layout
 * that cannot be made: the rest is done in the layout that is here. Whatever fails, what may not run here goes.
 * The lock must be held and recovery done.
 * @throws HaiveError of the checks before an installation, of the transfer and of the change; LOCK_MISMATCH for `options.whole`
 */
export async function carryOut(sync: Sync): Promise<SyncResult> {
  const { ctx, plan, options } = sync;
  const vetting = await openVetting(ctx, plan, await readReceipts(ctx.machine), options);
  const run = { ...sync, vetting, machine: { ...ctx.machine, fresh: createFresh() } };
  const { layout } = ctx.config.plugins;
  const found: Found = { failed: new Map(), misfits: new Set(), layout, noSwitch: null, refetched: false };
  try {
    await rememberRevokedKeys(ctx.machine, plan.hub, plan.revokedKeys ?? []);
    for (;;) {
      const result = await tryRound(run, found);
      if (result !== 'again') return result;
    }
  } catch (thrown) {
    await takeBanned(ctx, plan, options, vetting.banned, toHaiveError(thrown));
    throw thrown;
  }
}

/** @returns 'again' where something was found that the next round does without */
async function tryRound(run: Run, found: Found): Promise<SyncResult | 'again'> {
  const { ctx, machine, plan, options, vetting, stale } = run;
  const receipts = await readReceipts(machine);
  const picked = await pick(ctx, plan, receipts, options, found.failed, vetting.banned);
  if (stale) picked.remove = bannedOf(picked.remove, receipts, vetting.banned);
  const result = outcome(plan, picked, false, false);
  const refusals = tellFound(result, found, plan, { present: receipts.layout, wanted: ctx.config.plugins.layout });
  const switching = isSwitch(receipts, found.layout);
  const idle = picked.install.length === 0 && picked.remove.length === 0 && !switching;
  const left = againstLock(options.whole ?? [], options.whole === undefined ? [] : thenHere(receipts, picked));
  if (!isAsLocked(left)) {
    await noteRefusals(ctx, refusals);
    throw lockMismatch(left, reasonsOf(result));
  }
  if (idle) await noteRefusals(ctx, refusals);
  if (idle) return result;
  run.trying(attemptsOf(picked, receipts));
  const round = { receipts, picked, switching };
  try {
    if (picked.install.length > 0 || switching) await checkBeforeInstall(ctx, found.layout);
  } catch (thrown) {
    if (!switching) throw thrown;
    giveUpSwitch(found, receipts, thrown);
    return 'again';
  }
  const fetched = await fetchGood(run, found, round);
  if (fetched === null) return 'again';
  options.onProgress?.({
    step: 'apply',
    names: [...picked.install.map((e) => e.name), ...picked.remove],
    versions: versionsOf(picked.install),
  });
  try {
    const change = { ...toChange(picked, fetched, receipts, options), layout: found.layout };
    const applied = await applyChange(machine, change);
    await forgive(machine, picked, receipts);
    await noteRefusals(ctx, refusals);
    result.warnings.push(...new Set(vetting.warnings));
    if (switching) result.switched = { from: receipts.layout, to: found.layout };
    return finished(result, picked, applied, receipts);
  } catch (thrown) {
    await doWithout(machine, found, round, thrown);
    return 'again';
  }
}

/** What was picked, fetched and judged, by digest; null where some of it does not come, as `found` says then. */
async function fetchGood(run: Run, found: Found, { picked, receipts }: Round): Promise<Map<string, Fetched> | null> {
  const { machine, vetting } = run;
  const { fetched, failed } = await fetchPicked(run, picked.install, receipts);
  for (const [digest, error] of failed) {
    found.failed.set(digest, error);
    if (LASTING.has(error.code)) await refuseDigest(machine, digest, `${error.code}: ${error.message}`);
  }
  if (failed.size > 0) return null;
  await takeLauncher(
    machine,
    [...fetched.values()].map((got) => got.record),
  );
  const refused = await vetting.judge(picked.install, fetched);
  if (refused.size > 0) {
    for (const [digest, error] of refused) found.failed.set(digest, error);
    return null;
  }
  return fetched;
}

/** What there is once it is done. */
function thenHere({ plugins }: Receipts, { install, remove }: Picked): Locked[] {
  const gone = new Set([...remove, ...install.map((entry) => entry.name)]);
  return [...Object.values(plugins).filter(({ name }) => !gone.has(name)), ...install];
}

/** Why plugins stay away. */
const reasonsOf = ({ problems, waiting }: SyncResult): string[] => [
  ...problems.map((p) => `${p.name}: ${p.message}`),
  ...waiting.map((w) => `${w.name} waits: ${w.detail}`),
];

function attemptsOf(picked: Picked, { plugins }: Receipts): Attempt[] {
  return [
    ...picked.install.map(({ name, version }): Attempt => {
      return { what: plugins[name] === undefined ? 'install' : 'update', name, version };
    }),
    ...picked.remove.map((name): Attempt => ({ what: 'remove', name, version: plugins[name]?.version ?? '' })),
  ];
}

/** What came through its checks after all is refused no more. */
async function forgive(m: Machine, picked: Picked, before: Receipts): Promise<void> {
  const passed = picked.install.map((entry) => entry.digest).filter((digest) => before.refused[digest] !== undefined);
  if (passed.length === 0) return;
  await updateReceipts(m, (receipts) => {
    for (const digest of passed) delete receipts.refused[digest];
  });
}

/** Failures that the same bytes would meet again. */
const LASTING = new Set(['SIGNATURE_INVALID', 'DIGEST_MISMATCH', 'PLUGIN_TOO_LARGE', 'PATH_UNSAFE', 'PATH_COLLISION']);

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
