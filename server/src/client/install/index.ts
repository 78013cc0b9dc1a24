import type { Reply } from '../../contract/endpoints.ts';
import { ERRORS, type ErrorCode, HaiveError } from '../../domain/errors.ts';
import { parsePluginRef } from '../../domain/names.ts';
import { readReceipts } from '../../machine/receipts/index.ts';
import { type ClientContext, hubFor } from '../context.ts';
import { ask } from '../hub/registry.ts';
import { alsoHere } from '../report/also-here.ts';
import { switchedOff } from '../switched-off.ts';
import { type SyncOptions, type SyncProgress, type SyncResult, syncMachine } from '../sync/index.ts';
import { cachedPlan, followedPlace, isPinned } from '../sync/plan.ts';
import { installBringing } from './bring.ts';
import { installedHere } from './not-installed.ts';
import { forgetHold, releaseHold, stillOrdered, withdrawRemoval } from './said-before.ts';

export interface InstallOptions {
  /** `latest`, an exact version or a range; the reference's own range when absent. */
  version?: string | undefined;
  /** Other machines, by name or id; `*` for every compatible one. This machine when absent. */
  machines?: string[] | undefined;
  force?: boolean | undefined;
  /** Put what is published over the user's edits; they are kept in a backup. */
  discardEdits?: boolean | undefined;
  /** A person looked at what it does and said yes (the machine's policy may ask for that). */
  confirmed?: boolean | undefined;
  onProgress?: ((progress: SyncProgress) => void) | undefined;
}

export interface InstallResult extends Reply<'install'> {
  /** What happened on this machine; null when only others were told. */
  sync: SyncResult | null;
}

/**
 * Puts a plugin into the desired state of this or other machines, and on this one installs it at once.
 * @param ref NAME, NAME@RANGE or an id
 * @throws HaiveError of the hub (PLUGIN_NOT_FOUND, NOT_ELIGIBLE, STATUS_FORBIDS, FORBIDDEN …) and of syncMachine
 */
export async function installPlugin(
  ctx: ClientContext,
  ref: string,
  options: InstallOptions = {},
): Promise<InstallResult> {
  const { id, version } = target(ref, options.version);
  const force = options.force === true;
  if (options.machines !== undefined) return installElsewhere(ctx, { id, version, force }, options.machines, options);
  const hub = await hubFor(ctx, 'machine');
  try {
    const { name } = parsePluginRef(ref);
    // The hub rings with its answer, and a session of this machine may be faster.
    const since = await readReceipts(ctx.machine);
    await releaseHold(ctx, hub, name);
    await withdrawRemoval(ctx, name);
    const { answer, through } = force
      ? {
          answer: await hub.call('install', { params: { id }, body: { version, force, ...followedPlace(ctx) } }),
          through: hub,
        }
      : await installBringing(ctx, hub, { id, name, version });
    const refusal = answer.machines.find((m) => m.problem !== null)?.problem;
    if (refusal) throw new HaiveError('NOT_ELIGIBLE', `${answer.name} may not be installed here: ${refusal}`);
    const only = [answer.name];
    const confirmed = options.confirmed === true ? only : [];
    const sync = await syncMachine(ctx, {
      mode: 'explicit',
      only,
      reason: 'install',
      force,
      confirmed,
      since,
      // One connection for all of it.
      through: () => through,
      ...passedOn(options),
    }).catch((thrown) => {
      throw stillOrdered(thrown, `install ${answer.name} ${answer.version}`);
    });
    const here = (await readReceipts(ctx.machine)).plugins[answer.name];
    if (here === undefined || stayedAway(answer.name, sync)) throw notCome(answer.name, sync, here);
    const off = (await switchedOff(ctx.machine)).get(answer.name);
    if (off !== undefined) sync.warnings.push(`${answer.name} is ${off}`);
    return { ...answer, version: here.version, sync };
  } finally {
    hub.close();
  }
}

/** Tells the hub which machines are to have it; where this one is among them, its files are there when that returns. */
async function installElsewhere(
  ctx: ClientContext,
  { id, version, force }: { id: string; version: string; force: boolean },
  machines: string[],
  options: InstallOptions,
): Promise<InstallResult> {
  const since = await readReceipts(ctx.machine);
  const body = { version, force, ...(machines.includes('*') ? {} : { target_machines: machines }) };
  const answer = await ask(ctx, 'operator', (hub) => hub.call('install', { params: { id }, body }));
  const only = [answer.name];
  const confirmed = options.confirmed === true ? only : [];
  const told = answer.machines.filter((m) => m.problem === null).map((m) => m.machine);
  const { sync, warnings } = await alsoHere(ctx, told, async () => {
    // The hub has lifted it with the order.
    await forgetHold(ctx, answer.name);
    await withdrawRemoval(ctx, answer.name);
    const asked = { mode: 'explicit', only, reason: 'install', force, confirmed, since } as const;
    return syncMachine(ctx, { ...asked, ...passedOn(options) });
  });
  const here = (await readReceipts(ctx.machine)).plugins[answer.name];
  const failed = sync !== null && (here === undefined || stayedAway(answer.name, sync));
  const rows = answer.machines.map((m) =>
    failed && m.machine === ctx.config.machine?.name ? { ...m, problem: notCome(answer.name, sync, here).message } : m,
  );
  return { ...answer, machines: rows, warnings: [...answer.warnings, ...warnings], sync };
}

type Left = Pick<SyncResult, 'problems' | 'waiting'>;

/** Whether a sync left the version that was asked for away, also where another one stays installed. */
const stayedAway = (name: string, { problems, waiting }: Left): boolean =>
  problems.some((p) => p.name === name && p.where === 'machine') || waiting.some((w) => w.name === name);

/** Why what was asked for is not here after a sync, and what `stays` instead. */
export function notCome(name: string, sync: Left, stays?: { version: string }): HaiveError {
  const failed = sync.problems.find((p) => p.name === name);
  const wait = sync.waiting.find((w) => w.name === name);
  const why = failed?.message ?? wait?.detail ?? "the hub's plan does not hold it";
  const { hint } = failed ?? {};
  const version = failed?.version ?? wait?.to;
  const what = stays === undefined || version == null ? name : `${name} ${version}`;
  const rest = stays === undefined ? '' : `; ${stays.version} stays`;
  return new HaiveError(
    asCode(failed?.code),
    `${what} was not installed: ${why}${rest}`,
    hint === undefined ? {} : { hint },
  );
}

const passedOn = ({ onProgress, discardEdits }: InstallOptions): Pick<SyncOptions, 'onProgress' | 'discardEdits'> => ({
  ...(onProgress === undefined ? {} : { onProgress }),
  ...(discardEdits === undefined ? {} : { discardEdits }),
});

const asCode = (code: string | undefined): ErrorCode =>
  code !== undefined && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'NOT_ELIGIBLE';

function target(ref: string, version: string | undefined): { id: string; version: string } {
  const parsed = parsePluginRef(ref);
  if (parsed.id !== undefined) return { id: parsed.id, version: version ?? 'latest' };
  if (parsed.range !== null && version !== undefined && version !== 'latest' && version !== parsed.range) {
    throw new HaiveError('ID_MISMATCH', `${ref} and version ${version} disagree`);
  }
  return { id: parsed.name, version: version ?? parsed.range ?? 'latest' };
}

/**
 * Installs waiting updates: of the named plugins (also those held by a rollback), or of all that are not held.
 * @throws HaiveError NOT_INSTALLED, and those of syncMachine
 */
export async function updatePlugins(
  ctx: ClientContext,
  names: readonly string[],
  options: Pick<InstallOptions, 'force' | 'discardEdits' | 'onProgress' | 'confirmed'> = {},
): Promise<SyncResult> {
  const receipts = await readReceipts(ctx.machine);
  for (const name of names) installedHere(receipts, name);
  const hub = await hubFor(ctx, 'machine');
  try {
    for (const name of names) await releaseHold(ctx, hub, name);
  } finally {
    hub.close();
  }
  // Without names only what is here is brought up to date; first installs are sync's affair.
  const only = names.length > 0 ? [...names] : Object.keys(receipts.plugins);
  const force = options.force === true;
  const confirmed = options.confirmed === true ? only : [];
  const asked = { only, force, confirmed, since: receipts, ...passedOn(options) };
  const result = await syncMachine(ctx, { mode: 'explicit', reason: 'update', ...asked });
  for (const entry of (await cachedPlan(ctx))?.plan.plugins ?? []) {
    if (names.includes(entry.name) && isPinned(entry))
      result.warnings.push(`${entry.name} is pinned to ${entry.version}: \`hv install ${entry.name}\` frees it`);
  }
  return result;
}
