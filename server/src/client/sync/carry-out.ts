import { HaiveError, toHaiveError } from '../../domain/errors.ts';
import { againstLock, isAsLocked, type Locked, lockMismatch } from '../../domain/lockfile.ts';
import type { Picked } from '../../domain/pick-changes.ts';
import type { Plan, PlanEntry } from '../../domain/plan.ts';
import { statOf } from '../../machine/file-port.ts';
import { createFresh } from '../../machine/intake.ts';
import type { Machine } from '../../machine/machine.ts';
import { type Receipts, readReceipts, refuseDigest, updateReceipts } from '../../machine/receipts.ts';
import { applyChange, type Change } from '../../machine/transaction.ts';
import { takeLauncher } from '../confining.ts';
import type { ClientContext } from '../context.ts';
import type { HubClient } from '../hub-client.ts';
import { isSwitch, layoutRefusal, noteOfRefusal } from '../layout-wish.ts';
import { type Attempt, noteRefusals, type Refused } from '../local-audit.ts';
import { checkBeforeInstall } from '../preflight.ts';
import type { Fetched } from '../transfer/asking.ts';
import { fetchVersions } from '../transfer/fetch-versions.ts';
import { openVetting, type Vetting } from '../vet.ts';
import type { Deadline } from './deadline.ts';
import { PATIENCE, type SyncOptions } from './options.ts';
import { pick } from './pick.ts';
import { finished, outcome, type SyncResult } from './result.ts';
import { bannedOf, takeBanned } from './take-banned.ts';

/**
 * Picks, fetches and applies; what fails its checks is refused, and the rest is picked again without it. So is a switch of the layout
 * that cannot be made: the rest is done in the layout that is here. Whatever fails, what may not run here goes.
 * @param trying told what is under way, in case all of it fails
 */
export async function carryOut(
  ctx: ClientContext,
  hub: HubClient,
  plan: Plan,
  options: SyncOptions,
  deadline: Deadline,
  stale: boolean,
  trying: (attempts: readonly Attempt[]) => void,
): Promise<SyncResult> {
  const vetting = await openVetting(ctx, plan, await readReceipts(ctx.machine), options);
  try {
    return await inRounds(ctx, hub, plan, options, deadline, stale, trying, vetting);
  } catch (thrown) {
    await takeBanned(ctx, plan, options, vetting.banned, toHaiveError(thrown));
    throw thrown;
  }
}

async function inRounds(
  ctx: ClientContext,
  hub: HubClient,
  plan: Plan,
  options: SyncOptions,
  deadline: Deadline,
  stale: boolean,
  trying: (attempts: readonly Attempt[]) => void,
  vetting: Vetting,
): Promise<SyncResult> {
  const machine = { ...ctx.machine, fresh: createFresh() };
  const failed = new Map<string, HaiveError>();
  const misfits = new Set<string>();
  const wanted = ctx.config.plugins.layout;
  let layout = wanted;
  let noSwitch: HaiveError | null = null;
  let refetched = false;
  for (;;) {
    const receipts = await readReceipts(machine);
    const picked = await pick(ctx, plan, receipts, options, failed, vetting.banned);
    if (stale) picked.remove = bannedOf(picked.remove, receipts, vetting.banned);
    const result = outcome(plan, picked, false, false);
    for (const [digest, error] of failed) {
      const entry = plan.plugins.find((p) => p.digest === digest);
      const about = entry === undefined ? { name: digest } : { name: entry.name, version: entry.version };
      result.problems.push({ ...about, code: error.code, message: error.message, hint: error.hint, where: 'machine' });
    }
    const refusals = refusalsOf(plan, failed);
    if (noSwitch !== null) {
      const way = { present: receipts.layout, wanted };
      result.layoutRefused = layoutRefusal(way, noSwitch);
      refusals.push(noteOfRefusal(way, noSwitch));
    }
    const switching = isSwitch(receipts, layout);
    const stayIn = (thrown: unknown): void => {
      if (!(thrown instanceof HaiveError)) throw thrown;
      noSwitch = thrown;
      layout = receipts.layout;
      for (const digest of misfits) failed.delete(digest);
    };
    const idle = picked.install.length === 0 && picked.remove.length === 0 && !switching;
    const left = againstLock(options.whole ?? [], options.whole === undefined ? [] : thenHere(receipts, picked));
    if (!isAsLocked(left)) {
      await noteRefusals(ctx, refusals);
      throw lockMismatch(left, reasonsOf(result));
    }
    if (idle) await noteRefusals(ctx, refusals);
    if (idle) return result;
    trying(attemptsOf(picked, receipts));
    try {
      if (picked.install.length > 0 || switching) await checkBeforeInstall(ctx, layout);
    } catch (thrown) {
      if (!switching) throw thrown;
      stayIn(thrown);
      continue;
    }
    const fetched = await fetchAll(machine, ctx, hub, plan, picked.install, receipts, options, deadline);
    if (fetched.failed.size > 0) {
      for (const [digest, error] of fetched.failed) {
        failed.set(digest, error);
        if (LASTING.has(error.code)) await refuseDigest(machine, digest, `${error.code}: ${error.message}`);
      }
      continue;
    }
    await takeLauncher(
      machine,
      [...fetched.fetched.values()].map((got) => got.record),
    );
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
      const change = { ...toChange(picked, fetched.fetched, receipts, options), layout };
      const applied = await applyChange(machine, change);
      await forgive(machine, picked, receipts);
      await noteRefusals(ctx, refusals);
      result.warnings.push(...new Set(vetting.warnings));
      return finished(result, picked, applied, receipts);
    } catch (thrown) {
      // One plugin that does not fit this machine's layout keeps no other from being installed.
      const unfit = picked.install.find((entry) => isAbout(thrown, UNFIT, entry.name));
      if (unfit !== undefined && !failed.has(unfit.digest)) {
        failed.set(unfit.digest, thrown as HaiveError);
        misfits.add(unfit.digest);
        continue;
      }
      // One that does not read back as written keeps no other from being installed, and is not tried again by itself.
      const spoilt = picked.install.find((entry) => isAbout(thrown, ['VERIFY_FAILED'], entry.name));
      if (spoilt !== undefined && !failed.has(spoilt.digest)) {
        failed.set(spoilt.digest, thrown as HaiveError);
        await refuseDigest(machine, spoilt.digest, `VERIFY_FAILED: ${(thrown as HaiveError).message}`);
        continue;
      }
      // A blob was damaged on this disk: it is gone now, and is fetched again once.
      const damaged = thrown instanceof HaiveError && ['HASH_MISMATCH', 'BLOB_MISSING'].includes(thrown.code);
      if (damaged && !refetched) {
        refetched = true;
        continue;
      }
      // What is revoked must go all the same; a change that was begun is finished as it is.
      if (!switching || statOf(machine.paths.journal) !== null) throw thrown;
      stayIn(thrown);
    }
  }
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

/** What this machine's policy or checks kept out, as its audit log says it. */
function refusalsOf(plan: Plan, failed: ReadonlyMap<string, HaiveError>): Refused[] {
  return plan.plugins.flatMap(({ name: target, version, digest, origin: from }) => {
    const error = failed.get(digest);
    if (error === undefined) return [];
    return [{ target, from, before: null, after: { version, digest, why: error.message }, result: error.code }];
  });
}

/** What came through its checks after all is refused no more. */
async function forgive(m: Machine, picked: Picked, before: Receipts): Promise<void> {
  const passed = picked.install.map((entry) => entry.digest).filter((digest) => before.refused[digest] !== undefined);
  if (passed.length === 0) return;
  await updateReceipts(m, (receipts) => {
    for (const digest of passed) delete receipts.refused[digest];
  });
}

/** What one plugin asks for and this machine's layout cannot give. */
const UNFIT = ['NAME_CLASH', 'LAYOUT_UNSUPPORTED'];

const isAbout = (thrown: unknown, codes: readonly string[], name: string): boolean =>
  thrown instanceof HaiveError && codes.includes(thrown.code) && thrown.details?.name === name;

/** Failures that the same bytes would meet again. */
const LASTING = new Set(['SIGNATURE_INVALID', 'DIGEST_MISMATCH', 'PLUGIN_TOO_LARGE', 'PATH_UNSAFE', 'PATH_COLLISION']);

async function fetchAll(
  machine: Machine,
  ctx: ClientContext,
  hub: HubClient,
  plan: Plan,
  install: readonly PlanEntry[],
  receipts: Receipts,
  options: SyncOptions,
  deadline: Deadline,
): Promise<{ fetched: Map<string, Fetched>; failed: Map<string, HaiveError> }> {
  if (install.length === 0 || ctx.config.hub === undefined) return { fetched: new Map(), failed: new Map() };
  const names = install.map((e) => e.name);
  options.onProgress?.({ step: 'fetch', names, versions: versionsOf(install), bytes: 0 });
  const maxBytes = ctx.config.plugins.max_plugin_size_mb * 1024 * 1024;
  let counted = 0;
  return fetchVersions(machine, hub, install, {
    hub: ctx.config.hub,
    maxBytes,
    installed: Object.values(receipts.plugins),
    revokedKeys: plan.revokedKeys,
    attempts: PATIENCE[options.mode].attempts,
    signal: deadline.signal,
    onBytes: (bytes) => {
      // No more than what is wanted could hold: a hub that sends for ever buys nothing by it.
      const count = Math.min(bytes, install.length * maxBytes);
      deadline.arrived(count - counted);
      counted = count;
      options.onProgress?.({ step: 'fetch', names, bytes });
    },
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
