import { meets } from '../../domain/desired/resolve.ts';
import type { HaiveError } from '../../domain/errors.ts';
import type { Plan } from '../../domain/plan/index.ts';
import { type InstalledFacts, type Picked, pickChanges } from '../../domain/plan/pick-changes.ts';
import { inspect } from '../../machine/drift.ts';
import type { Receipts } from '../../machine/receipts/index.ts';
import type { ClientContext } from '../context.ts';
import { lastRefusals } from '../local-audit.ts';
import type { SyncOptions } from './options.ts';

/** What of a plan this machine does now, what waits for a yes, and what goes: the plan seen with the receipts, the policy and who asks. */
export async function pick(
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
  const only = options.only === undefined ? undefined : new Set(options.only);
  const replacing = force || options.discardEdits === true;
  const repair = new Set(replacing ? overtaken(options.since ?? receipts, receipts, only) : []);
  for (const { name, state } of options.mode === 'explicit' ? await inspect(ctx.machine, { only }) : []) {
    if (state === 'missing' || state === 'damaged') repair.add(name);
  }
  const picked = pickChanges({
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
  // Neither is what is installed and was to be laid again; it stays as it is.
  picked.install = picked.install.filter((entry) => !failed.has(entry.digest));
  if (asked && picked.waiting.some((wait) => wait.why === 'policy')) {
    // Nobody is promised that a sync brings what the last one refused.
    const refusals = await lastRefusals(ctx.machine);
    const digests = new Map(plan.plugins.map((entry) => [entry.name, entry.digest]));
    picked.waiting = picked.waiting.map((wait) => {
      const detail = refusals.get(digests.get(wait.name) ?? '');
      return wait.why !== 'policy' || detail === undefined ? wait : { ...wait, why: 'refused', detail };
    });
  }
  return picked;
}

/** Of these plugins, and of what their new versions made necessary, those that another process updated since: it carried the edits over. */
function overtaken({ plugins: before }: Receipts, { plugins: now }: Receipts, only?: ReadonlySet<string>): string[] {
  const moved = (name: string): boolean => before[name]?.digest !== now[name]?.digest;
  const all = new Set(only ?? Object.keys(now));
  for (const name of all) {
    for (const need of moved(name) ? (now[name]?.dependencies ?? []) : []) {
      const had = before[need.name];
      if (had !== undefined && !meets(had.version, need.range)) all.add(need.name);
    }
  }
  return [...all].filter((name) => before[name] !== undefined && moved(name));
}
