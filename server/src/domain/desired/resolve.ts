import semver from 'semver';
import type { Dependency } from '../version/manifest.ts';

/**
 * Chooses one version for every wanted plugin and everything they require.
 *
 * The answer is the first that an exhaustive depth-first search would find in this order: plugins in the order they are
 * discovered (the roots as given, then the required dependencies of each chosen version by name), each plugin's versions in
 * the order its candidates come (highest first). Conflict-directed backjumping skips only branches without an answer.
 */
export interface Candidate {
  name: string;
  version: string;
  dependencies: readonly Dependency[];
}

/** name → chosen version. */
export type Resolution = Map<string, string>;

export interface Conflict {
  /** The roots that cannot be had together (or one that cannot be had at all). */
  roots: string[];
  /** True when something required has no version at all that fits even alone. */
  missing: boolean;
  /** Who wants what, for a person. */
  explanation: string;
}

export type Outcome = { ok: true; resolution: Resolution } | { ok: false; conflict: Conflict };

interface Demand {
  by: Candidate;
  level: number;
  range: string;
}

interface Frame {
  name: string;
  options: readonly Candidate[];
  next: number;
  /** Earlier levels whose choice took part in ruling out a version here. */
  culprits: Set<number>;
  /** Names that took part in a deduction made here. */
  blame: Set<string>;
  orderLength: number;
  chosen: Candidate | null;
}

interface Clash {
  target: string;
  wants: Demand[];
}

/**
 * @param roots plugins wanted by themselves
 * @param candidates the versions of a plugin that may be chosen, best first
 */
export function resolve(roots: readonly string[], candidates: (name: string) => readonly Candidate[]): Outcome {
  return new Search(roots, candidates).run();
}

class Search {
  private readonly roots: ReadonlySet<string>;
  private readonly order: string[];
  private readonly position = new Map<string, number>();
  private readonly frames: Frame[] = [];
  private readonly demands = new Map<string, Demand[]>();
  private readonly clashes = new Map<string, Clash>();
  private readonly options = new Map<string, readonly Candidate[]>();
  private readonly lookUp: (name: string) => readonly Candidate[];

  constructor(roots: readonly string[], candidates: (name: string) => readonly Candidate[]) {
    this.roots = new Set(roots);
    this.lookUp = candidates;
    this.order = [...new Set(roots)];
    for (const [i, name] of this.order.entries()) this.position.set(name, i);
  }

  run(): Outcome {
    while (this.frames.length < this.order.length || this.current()?.chosen === null) {
      const frame = this.current();
      if (frame === undefined || frame.chosen !== null) this.open();
      else if (!this.advance(frame)) {
        const conflict = this.backjump(frame);
        if (conflict !== null) return { ok: false, conflict };
      }
    }
    return { ok: true, resolution: new Map(this.frames.map((f) => [f.name, (f.chosen as Candidate).version])) };
  }

  private current(): Frame | undefined {
    return this.frames[this.frames.length - 1];
  }

  private open(): void {
    const name = this.order[this.frames.length] as string;
    this.frames.push({
      name,
      options: this.candidatesOf(name),
      next: 0,
      culprits: new Set(),
      blame: new Set([name]),
      orderLength: this.order.length,
      chosen: null,
    });
  }

  /** Chooses the next version that fits at this frame; false when none is left. */
  private advance(frame: Frame): boolean {
    const level = this.frames.length - 1;
    while (frame.next < frame.options.length) {
      const candidate = frame.options[frame.next++] as Candidate;
      if (!this.fits(frame, candidate)) continue;
      frame.chosen = candidate;
      for (const { name, range } of requirements(candidate)) {
        const list = this.demands.get(name);
        const demand = { by: candidate, level, range };
        if (list === undefined) this.demands.set(name, [demand]);
        else list.push(demand);
        if (!this.position.has(name)) {
          this.position.set(name, this.order.length);
          this.order.push(name);
        }
      }
      return true;
    }
    return false;
  }

  private fits(frame: Frame, candidate: Candidate): boolean {
    const refusing = (this.demands.get(frame.name) ?? []).filter((d) => !this.meets(candidate, d.range));
    if (refusing.length > 0) {
      this.blameOn(frame, frame.name, this.demands.get(frame.name) ?? []);
      return false;
    }
    for (const { name, range } of requirements(candidate)) {
      const mine = { by: candidate, level: this.frames.length - 1, range };
      if (name === candidate.name) {
        if (this.meets(candidate, range)) continue;
        this.blameOn(frame, name, [mine]);
        return false;
      }
      const others = this.demands.get(name) ?? [];
      const level = this.position.get(name);
      const chosen = level !== undefined && level < this.frames.length ? this.frames[level]?.chosen : undefined;
      if (chosen) {
        if (this.meets(chosen, range)) continue;
        frame.culprits.add(level as number);
        frame.blame.add(name);
        this.blameOn(frame, name, [...others, mine]);
        return false;
      }
      const fitting = this.candidatesOf(name).filter((c) => this.meets(c, range));
      if (fitting.some((c) => others.every((d) => this.meets(c, d.range)))) continue;
      this.blameOn(frame, name, fitting.length === 0 ? [mine] : [...others, mine]);
      return false;
    }
    return true;
  }

  private blameOn(frame: Frame, target: string, wants: Demand[]): void {
    const level = this.frames.length - 1;
    for (const want of wants) {
      if (want.level < level) frame.culprits.add(want.level);
      frame.blame.add(want.by.name);
    }
    const key = `${target}\n${wants.map((w) => `${w.by.name} ${w.range}`).join('\n')}`;
    if (this.clashes.size < 1000) this.clashes.set(key, { target, wants });
  }

  /** Undoes back to the latest level that could change the outcome; the conflict when there is none. */
  private backjump(frame: Frame): Conflict | null {
    const level = this.frames.length - 1;
    const needs = this.demands.get(frame.name)?.[0];
    if (needs !== undefined && !this.roots.has(frame.name)) frame.culprits.add(needs.level);
    if (frame.options.length === 0) this.noteMissing(frame.name);
    const target = Math.max(-1, ...[...frame.culprits].filter((l) => l < level));
    if (target === -1) return this.explain(frame);
    for (let l = level; l > target; l--) this.undo(this.frames.pop() as Frame);
    const back = this.frames[target] as Frame;
    this.undo(back);
    for (const l of frame.culprits) if (l < target) back.culprits.add(l);
    for (const name of frame.blame) back.blame.add(name);
    return null;
  }

  private undo(frame: Frame): void {
    if (frame.chosen === null) return;
    for (const { name } of requirements(frame.chosen)) this.demands.get(name)?.pop();
    while (this.order.length > frame.orderLength) this.position.delete(this.order.pop() as string);
    frame.chosen = null;
  }

  private noteMissing(name: string): void {
    this.clashes.set(name, { target: name, wants: this.demands.get(name) ?? [] });
  }

  private explain(frame: Frame): Conflict {
    const relevant = [...this.clashes.values()].filter(
      (c) => frame.blame.has(c.target) || c.wants.some((w) => frame.blame.has(w.by.name)),
    );
    const missing = relevant.some(
      (c) => !this.candidatesOf(c.target).some((v) => c.wants.slice(-1).every((w) => this.meets(v, w.range))),
    );
    const sentences = relevant.slice(0, 4).map((clash) => this.sentence(clash));
    return {
      roots: [...this.roots].filter((r) => frame.blame.has(r)),
      missing,
      explanation: [...new Set(sentences)].join('; '),
    };
  }

  private sentence(clash: Clash): string {
    const wants = clash.wants.map((w) => `${w.by.name}@${w.by.version} wants ${clash.target} ${w.range}`);
    const versions = this.candidatesOf(clash.target).map((c) => c.version);
    const shown =
      versions.length > 5 ? `${versions.slice(0, 5).join(', ')} and ${versions.length - 5} older` : versions.join(', ');
    const early = versions.length > 0 && versions.every(isPrerelease);
    const why = early ? ' (prereleases, which a range takes only where it names one)' : '';
    const have =
      versions.length === 0 ? `no version of ${clash.target} is available here` : `available: ${shown}${why}`;
    return [...(wants.length > 0 ? [wants.join(', ')] : [`${clash.target} is wanted`]), have].join(', but ');
  }

  /** As `meets`, with a prerelease for no range only where there is nothing else. */
  private meets({ name, version }: Candidate, range: string): boolean {
    if (range !== '*' || !isPrerelease(version)) return meets(version, range);
    return this.candidatesOf(name).every((c) => isPrerelease(c.version));
  }

  private candidatesOf(name: string): readonly Candidate[] {
    let found = this.options.get(name);
    if (found === undefined) {
      found = this.lookUp(name);
      this.options.set(name, found);
    }
    return found;
  }
}

function requirements(candidate: Candidate): { name: string; range: string }[] {
  const required = candidate.dependencies.filter((d) => d.kind === 'required');
  return required.length < 2
    ? required
    : [...required].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

const ranges = new Map<string, semver.Range | null>();

/** Whether a version satisfies a range as semver says; an invalid range is satisfied by nothing. */
export function inRange(version: string, range: string): boolean {
  let parsed = ranges.get(range);
  if (parsed === undefined) {
    parsed = semver.validRange(range) === null ? null : new semver.Range(range);
    if (ranges.size > 10_000) ranges.clear();
    ranges.set(range, parsed);
  }
  return parsed?.test(version) ?? false;
}

/** Whether a version is what a dependency asks for: as Claude Code has it, any where it names no range. */
export const meets = (version: string, range: string): boolean => range === '*' || inRange(version, range);

/** Of a version that is one: told by its text, because every version is asked about for every machine. */
export const isPrerelease = (version: string): boolean => (version.split('+', 1)[0] ?? '').includes('-');
