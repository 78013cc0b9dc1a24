import { join } from 'node:path';
import { circleOf, dependentsOn } from '../../domain/desired/dependents.ts';
import { HaiveError } from '../../domain/errors.ts';
import { parsePluginRef } from '../../domain/names.ts';
import { requireNamed } from '../../domain/version/named-version.ts';
import { applyChange, recover } from '../../machine/change/transaction.ts';
import { lookAt, removeTree } from '../../machine/files/file-port.ts';
import type { Machine } from '../../machine/machine.ts';
import { withLock } from '../../machine/processes/lock.ts';
import { type Receipts, readReceipts } from '../../machine/receipts/index.ts';
import { type ClientContext, hubFor } from '../context.ts';
import { type HubClient, hubIsAway } from '../hub/hub-client.ts';
import { ask } from '../hub/registry.ts';
import { notingFailure } from '../local-audit.ts';
import { alsoHere } from '../report/also-here.ts';
import { spool } from '../report/spool.ts';
import { syncMachine } from '../sync/index.ts';
import { cachedPlan, followedPlace } from '../sync/plan.ts';
import { notInstalled } from './not-installed.ts';
import { stillOrdered } from './said-before.ts';

export interface RemoveResult {
  name: string;
  /** Names of the machines that were told. */
  machines: string[];
  /** Plugins that leave with it, because it needs them and they need it. */
  along: string[];
  /** Plugins that went from this machine. */
  removed: string[];
  warnings: string[];
}

/**
 * Takes a plugin off this machine (and out of its desired state), or off others. Works without the hub, which is told later.
 * @param ref NAME, or NAME@RANGE or an id where only that may go
 * @param options.purge keep no edits; what was kept of a plugin that is gone already goes too
 * @throws HaiveError NOT_INSTALLED, ID_MISMATCH, DEPENDENT_INSTALLED, FORBIDDEN, MACHINE_NOT_FOUND, and those of files
 */
export async function removePlugin(
  ctx: ClientContext,
  ref: string,
  options: { machines?: string[] | undefined; purge?: boolean } = {},
): Promise<RemoveResult> {
  const asked = parsePluginRef(ref);
  const { name } = asked;
  const purge = options.purge === true ? [name] : [];
  if (options.machines !== undefined) return removeElsewhere(ctx, ref, options.machines, purge);
  const hub = await hubFor(ctx, 'machine');
  try {
    const receipts = await readReceipts(ctx.machine);
    requireNamed(asked, receipts.plugins[name]?.version, 'here');
    if (receipts.plugins[name] === undefined) {
      const offered = (await cachedPlan(ctx))?.plan.plugins.some((p) => p.name === name) === true;
      if (!offered) {
        if (purge.length === 0 || !(await purgeOverlay(ctx.machine, name))) throw notInstalled(name, receipts);
        const said = `${name} was not installed any more; the edits kept of it are gone`;
        return { name, machines: [], along: [], removed: [], warnings: [said] };
      }
    }
    const circle = checkDependents(receipts, name);
    // The hub rings, and a session of this machine may have been faster: it knows of the removal, not of what was asked besides.
    const done = await removeThrough(ctx, hub, name, circle, purge).finally(async () => {
      if (purge.length > 0) await purgeOverlay(ctx.machine, name);
    });
    const { plugins: left } = await readReceipts(ctx.machine);
    const removed = Object.keys(receipts.plugins).filter((here) => left[here] === undefined);
    return { name, removed, along: circle.filter((one) => one !== name && removed.includes(one)), ...done };
  } finally {
    hub.close();
  }
}

/** Tells the hub, and does what it says then; without it what is known here. */
async function removeThrough(
  ctx: ClientContext,
  hub: HubClient,
  name: string,
  circle: string[],
  purge: string[],
): Promise<Pick<RemoveResult, 'machines' | 'warnings'>> {
  try {
    await hub.call('uninstall', { params: { id: name }, body: followedPlace(ctx) });
  } catch (thrown) {
    if (!hubIsAway(thrown) && !isUnknown(thrown)) throw thrown;
    const warnings = await removeHere(ctx, name, hubIsAway(thrown), purge);
    const later = 'The hub was not told yet; it will be with the next sync';
    return { machines: [], warnings: [...(hubIsAway(thrown) ? [later] : []), ...warnings] };
  }
  const sync = await syncMachine(ctx, { mode: 'explicit', only: circle, reason: 'remove', purge }).catch((thrown) => {
    throw stillOrdered(thrown, `remove ${name}`);
  });
  if ((await readReceipts(ctx.machine)).plugins[name] !== undefined) {
    const why = sync.waiting.find((w) => w.name === name)?.detail ?? 'another plugin needs it';
    throw new HaiveError('DEPENDENT_INSTALLED', `${name} stays: ${why}`);
  }
  const machines = ctx.config.machine === undefined ? [] : [ctx.config.machine.name];
  const moved = sync.changed.updated.map((u) => `${u.name} ${u.from} → ${u.to}, which does without ${name}`);
  return { machines, warnings: [...moved, ...sync.warnings] };
}

/** Of what is not installed any more. @returns whether there was one to take away */
async function purgeOverlay(m: Machine, name: string): Promise<boolean> {
  const overlay = join(m.paths.overlays, name);
  // Taken away with the plugin, as a rule.
  if (lookAt(overlay) === null) return false;
  return withLock(m, 'purge', async () => {
    await recover(m);
    if ((await readReceipts(m)).plugins[name] !== undefined) return false;
    await removeTree(m.port, overlay);
    return true;
  });
}

/** The hub knows no such plugin any more: only this machine still has it. */
const isUnknown = (thrown: unknown): boolean => thrown instanceof HaiveError && thrown.code === 'PLUGIN_NOT_FOUND';

/** Tells the hub which machines are to lose it; where this one is among them, it has when that returns. */
async function removeElsewhere(
  ctx: ClientContext,
  id: string,
  machines: string[],
  purge: string[],
): Promise<RemoveResult> {
  const { plugins: before } = await readReceipts(ctx.machine);
  const body = machines.includes('*') ? {} : { target_machines: machines };
  const answer = await ask(ctx, 'operator', (hub) => hub.call('uninstall', { params: { id }, body }));
  const { name, along } = answer;
  const { sync, warnings } = await alsoHere(ctx, answer.machines, () =>
    syncMachine(ctx, { mode: 'explicit', only: [name, ...along], reason: 'remove', purge }),
  );
  const { plugins: left } = await readReceipts(ctx.machine);
  const removed = sync === null ? [] : Object.keys(before).filter((here) => left[here] === undefined);
  return { name, machines: answer.machines, along, removed, warnings: [...warnings, ...(sync?.warnings ?? [])] };
}

/** @returns what goes: the plugin, and what it needs and is needed by */
function checkDependents(receipts: Receipts, name: string): string[] {
  const needs = new Map(Object.values(receipts.plugins).map((p) => [p.name, p.dependencies]));
  const circle = circleOf(name, needs).filter((one) => one === name || receipts.plugins[one] !== undefined);
  const dependents = dependentsOn(circle, needs);
  if (dependents.length === 0) return circle;
  const of = circle.length === 1 ? name : `${name} (with ${circle.filter((one) => one !== name).join(', ')})`;
  throw new HaiveError('DEPENDENT_INSTALLED', `${dependents.join(', ')} needs ${of}`, { details: { dependents } });
}

/** @returns warnings */
async function removeHere(ctx: ClientContext, name: string, tellLater: boolean, purge: string[]): Promise<string[]> {
  return withLock(ctx.machine, 'remove', async () => {
    await recover(ctx.machine);
    const receipts = await readReceipts(ctx.machine);
    if (tellLater) await spool(ctx.machine, { call: 'uninstall', name });
    if (receipts.plugins[name] === undefined) return [];
    const circle = checkDependents(receipts, name);
    // Somebody may have named what came along: the plan knows, though nothing had to change here for that.
    const plan = (await cachedPlan(ctx))?.plan.plugins ?? [];
    const named = new Set(plan.filter((entry) => entry.origin !== 'dependency').map((entry) => entry.name));
    const remove = [...circle, ...orphans(receipts, circle, named)];
    const { warnings } = await notingFailure(ctx, (trying) => {
      trying(remove.map((gone) => ({ what: 'remove', name: gone, version: receipts.plugins[gone]?.version ?? '' })));
      return applyChange(ctx.machine, { install: [], remove, reason: 'remove', purge });
    });
    return warnings;
  });
}

/** What came only because one of these plugins, or another that goes, needs it; what somebody named stays. */
function orphans(receipts: Receipts, circle: readonly string[], named: ReadonlySet<string>): string[] {
  const gone = new Set(circle);
  for (let again = true; again; ) {
    again = false;
    for (const plugin of Object.values(receipts.plugins)) {
      if (gone.has(plugin.name) || plugin.origin !== 'dependency' || named.has(plugin.name)) continue;
      const wanted = Object.values(receipts.plugins).some(
        (other) => !gone.has(other.name) && other.dependencies.some((d) => d.name === plugin.name),
      );
      if (wanted) continue;
      gone.add(plugin.name);
      again = true;
    }
  }
  return [...gone].filter((name) => !circle.includes(name)).sort();
}
