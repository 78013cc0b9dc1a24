import { createHash } from 'node:crypto';
import type { Plan, PlanEntry } from './index.ts';

/**
 * A plan as differences from one the machine has (RFC 3229: `A-IM: hv`, `226 IM Used`): entries that stayed are runs
 * [first, count] in the earlier plan's list, the others are written out. Expanding gives the very bytes that were signed,
 * so that the signature is what proves a delta right.
 */
export const PLAN_IM = 'hv';

/** More plugins than any plan holds. */
const MAX_ENTRIES = 100_000;

export type DeltaPart = [first: number, count: number] | PlanEntry;
export type DeltaPlan = Omit<Plan, 'plugins'> & { plugins: DeltaPart[] };

/** What the hub must remember of a plan to make a delta from it later: a short hash of each entry, in order. */
export function entryKeys(entries: readonly PlanEntry[]): string[] {
  return entries.map((entry) => {
    let key = known.get(entry);
    if (key === undefined) {
      key = createHash('sha256').update(JSON.stringify(entry)).digest('base64url').slice(0, 16);
      known.set(entry, key);
    }
    return key;
  });
}

/** Machines of one kind have the very same entries. */
const known = new WeakMap<PlanEntry, string>();

/** @param base the keys of the plan that the machine has @param keys those of `plan` */
export function toDelta(base: readonly string[], plan: Plan, keys: readonly string[]): DeltaPlan {
  const at = new Map(base.map((key, index) => [key, index]));
  const parts: DeltaPart[] = [];
  for (const [i, entry] of plan.plugins.entries()) {
    const there = at.get(keys[i] ?? '');
    const last = parts.at(-1);
    if (there === undefined) parts.push(entry);
    else if (Array.isArray(last) && last[0] + last[1] === there) last[1]++;
    else parts.push([there, 1]);
  }
  return { ...plan, plugins: parts };
}

/** The whole plan; null when the delta does not fit the base. */
export function fromDelta(base: Pick<Plan, 'plugins'>, delta: DeltaPlan): Plan | null {
  if (!Array.isArray(delta.plugins)) return null;
  const plugins: PlanEntry[] = [];
  for (const part of delta.plugins) {
    // A delta of few bytes may name the same run over and over.
    if (plugins.length > MAX_ENTRIES) return null;
    if (!Array.isArray(part)) {
      plugins.push(part);
      continue;
    }
    const run = base.plugins.slice(part[0], part[0] + part[1]);
    if (run.length !== part[1]) return null;
    plugins.push(...run);
  }
  // Spreading keeps the order of keys, and with it the bytes.
  return { ...delta, plugins };
}
