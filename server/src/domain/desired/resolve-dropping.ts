import type { Origin, PlanProblem } from '../plan/index.ts';
import type { MachineFacts } from './registry.ts';
import { type Candidate, type Conflict, type Resolution, resolve } from './resolve.ts';

type Candidates = (name: string) => readonly Candidate[];

interface Wanted {
  name: string;
  origin: Origin;
}

/**
 * Solves for all wanted plugins; while that fails, leaves out one and says why: first what cannot be had even alone, with all that
 * requires it, then the one that is easiest to spare.
 * @param candidates the versions of a plugin that may be chosen, best first
 * @param problems what is left out is added
 * @param goesAlong whether nothing is said of a published plugin that cannot be had
 */
export function resolveDropping(
  wanted: ReadonlyMap<string, Wanted>,
  candidates: Candidates,
  machine: MachineFacts,
  problems: PlanProblem[],
  goesAlong: (name: string) => boolean,
): Resolution {
  const installed = new Set(machine.installed.map((p) => p.name));
  const keepRank = (name: string): number =>
    (installed.has(name) ? 2 : 0) + (wanted.get(name)?.origin === 'explicit' ? 1 : 0);
  let roots = [...wanted.values()].sort(byPreference).map((w) => w.name);
  const falling = fallingWith(roots, candidates);
  const whyNotAlone = aloneWith(candidates);
  const left: PlanProblem[] = [];
  for (;;) {
    const outcome = resolve(roots, candidates);
    if (outcome.ok) {
      // What another brings along all the same is not left out.
      problems.push(...left.filter(({ name }) => !outcome.resolution.has(name)));
      return outcome.resolution;
    }
    const { conflict } = outcome;
    const ranked = [...conflict.roots].sort((a, b) => keepRank(a) - keepRank(b) || (a < b ? 1 : -1));
    const [spare] = ranked;
    if (spare === undefined) return new Map();
    const [lost, why] = ranked.length === 1 ? [spare, conflict] : (firstOf(ranked, whyNotAlone) ?? [null, conflict]);
    const out = new Set(lost === null ? [spare] : falling(lost));
    for (const name of out) {
      const silent = why.missing && wanted.get(name)?.origin === 'published' && goesAlong(name);
      if (!silent) left.push(conflictProblem(name, why));
    }
    roots = roots.filter((name) => !out.has(name));
  }
}

function firstOf<T>(names: readonly string[], of: (name: string) => T | null): [string, T] | null {
  for (const name of names) {
    const found = of(name);
    if (found !== null) return [name, found];
  }
  return null;
}

/** Tells why a plugin cannot be had even alone; null where it can. */
function aloneWith(candidates: Candidates): (name: string) => Conflict | null {
  const possible = new Set<string>();
  return (name) => {
    const outcome = possible.has(name) ? null : resolve([name], candidates);
    if (outcome?.ok === false) return outcome.conflict;
    possible.add(name);
    return null;
  };
}

/**
 * Tells which of the wanted plugins fall with one that cannot be had: each of their versions requires one that fell, now or before.
 * @returns for a name: itself, then what falls with it
 */
function fallingWith(wanted: readonly string[], candidates: Candidates): (name: string) => string[] {
  let requirers: Map<string, Set<string>> | undefined;
  const fallen = new Set<string>();
  const falls = (name: string): boolean =>
    candidates(name).every((c) => requiredBy(c).some((need) => fallen.has(need)));
  return (first) => {
    requirers ??= requirersOf(wanted, candidates);
    fallen.add(first);
    const found = [first];
    for (const name of found) {
      for (const other of requirers.get(name) ?? []) {
        if (fallen.has(other) || !falls(other)) continue;
        fallen.add(other);
        found.push(other);
      }
    }
    return found;
  };
}

/** By name: which of these plugins have a version that requires it. */
function requirersOf(names: readonly string[], candidates: Candidates): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const name of names) {
    for (const need of candidates(name).flatMap(requiredBy)) {
      const all = found.get(need);
      if (all === undefined) found.set(need, new Set([name]));
      else all.add(name);
    }
  }
  return found;
}

const requiredBy = (candidate: Candidate): string[] =>
  candidate.dependencies.flatMap((d) => (d.kind === 'required' ? [d.name] : []));

function conflictProblem(name: string, conflict: Conflict): PlanProblem {
  return { name, code: conflict.missing ? 'DEPENDENCY_MISSING' : 'DEPENDENCY_CONFLICT', message: conflict.explanation };
}

const byPreference = (a: Wanted, b: Wanted): number =>
  Number(b.origin === 'explicit') - Number(a.origin === 'explicit') || (a.name < b.name ? -1 : 1);
