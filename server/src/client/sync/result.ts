import { formatError } from '../../domain/errors.ts';
import type { Plan, PlanEntry } from '../../domain/plan/index.ts';
import type { Picked, Waiting } from '../../domain/plan/pick-changes.ts';
import type { Edit } from '../../machine/change/render.ts';
import type { ChangeResult } from '../../machine/change/transaction.ts';
import type { Quarantined } from '../../machine/quarantine.ts';
import type { Layout, Receipts } from '../../machine/receipts/index.ts';
import type { LayoutRefusal } from './layout-wish.ts';

export interface SyncProblem {
  name: string;
  /** The version that it is about, where one was refused here. */
  version?: string;
  code: string;
  message: string;
  /** What to do about what this machine refused. */
  hint?: string;
  /** `hub`: it could not plan it · `machine`: what came failed its checks here. */
  where: 'hub' | 'machine';
}

export interface SyncResult {
  changed: {
    installed: { name: string; version: string }[];
    updated: { name: string; from: string; to: string }[];
    reinstalled: { name: string; version: string }[];
    removed: string[];
  };
  waiting: Waiting[];
  /** What could not be given or installed, and why. */
  problems: SyncProblem[];
  /** The layout of the configuration could not be had: everything else was done in the one that is here. */
  layoutRefused: LayoutRefusal | null;
  /** The layout that plugins lay in, and the one that all of them were moved to; null where they stayed. */
  switched: { from: Layout; to: Layout } | null;
  warnings: string[];
  /** The hub's plan is past its time, in words: only what may not run goes. */
  expired: string | null;
  /** Of a dry run: what would go although nobody asked for that (revoked, forbidden by the policy), and why. */
  leaving: { name: string; why: string }[];
  /** The user's own edits that an update met. */
  edits: Edit[];
  /** Revoked versions that were taken out of reach, and how many processes that ran from them were ended. */
  revoked: Quarantined[];
  /** True when the hub said that nothing changed since the last plan. */
  notModified: boolean;
  /** True when an open session needs `/reload-plugins`. */
  reloadNeeded: boolean;
  dryRun: boolean;
  counter: number;
}

/** What is known of a sync before anything changed. */
export function outcome(
  plan: Pick<Plan, 'counter' | 'problems'>,
  picked: Picked,
  notModified: boolean,
  dryRun: boolean,
): SyncResult {
  return {
    changed: { installed: [], updated: [], reinstalled: [], removed: [] },
    waiting: picked.waiting,
    problems: plan.problems.map((p) => ({ ...p, where: 'hub' })),
    layoutRefused: null,
    switched: null,
    warnings: [],
    expired: null,
    leaving: [],
    edits: [],
    revoked: [],
    notModified,
    reloadNeeded: false,
    dryRun,
    counter: plan.counter,
  };
}

/** Adds one installed version to the kind of change it is. */
export function place(result: SyncResult, entry: PlanEntry, from: string | null, receipts: Receipts): void {
  const { name, version } = entry;
  if (entry.status === 'deprecated') result.warnings.push(`${name}@${version} is deprecated`);
  if (from === null) result.changed.installed.push({ name, version });
  else if (receipts.plugins[name]?.digest === entry.digest) result.changed.reinstalled.push({ name, version });
  else result.changed.updated.push({ name, from, to: version });
}

/** Completes a result with what was applied. */
export function finished(result: SyncResult, picked: Picked, applied: ChangeResult, receipts: Receipts): SyncResult {
  for (const entry of picked.install) place(result, entry, receipts.plugins[entry.name]?.version ?? null, receipts);
  result.changed.removed = applied.removed;
  result.edits = applied.edits;
  result.warnings.push(...applied.warnings);
  result.reloadNeeded = true;
  return result;
}

/** In words, with what to do where that is known. */
export const problemText = ({ name, code, message, hint }: Omit<SyncProblem, 'where'>): string =>
  `${name}: ${hint === undefined ? `${code}: ${message}` : formatError({ code, message, hint })}`;

/** In words. */
export const leavingText = ({ name, why }: SyncResult['leaving'][number]): string =>
  `${name} goes with the next sync: ${why}`;
