import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Candidate, inRange, resolve } from './resolve.ts';

type World = Map<string, Candidate[]>;

const v = (name: string, version: string, needs: Record<string, string> = {}): Candidate => ({
  name,
  version,
  dependencies: Object.entries(needs).map(([n, range]) => ({ name: n, range, kind: 'required' })),
});

function world(...candidates: Candidate[]): (name: string) => Candidate[] {
  return (name) => candidates.filter((c) => c.name === name);
}

const chosen = (roots: string[], look: (name: string) => Candidate[]): Record<string, string> => {
  const outcome = resolve(roots, look);
  if (!outcome.ok) throw new Error(outcome.conflict.explanation);
  return Object.fromEntries(outcome.resolution);
};

const refused = (roots: string[], look: (name: string) => Candidate[]) => {
  const outcome = resolve(roots, look);
  if (outcome.ok) throw new Error(`resolved: ${JSON.stringify([...outcome.resolution])}`);
  return outcome.conflict;
};

/** No range is met by all but prereleases, and by those where there is nothing else. */
function fits(version: string, { name, range }: { name: string; range: string }, all: World): boolean {
  if (range !== '*' || inRange(version, range)) return inRange(version, range);
  return (
    (all.get(name) ?? []).some((c) => c.version === version) &&
    !(all.get(name) ?? []).some((c) => inRange(c.version, '*'))
  );
}

/** The stated order without any pruning: checks only complete assignments. */
function exhaustive(roots: string[], all: World): Map<string, string> | null {
  const step = (order: string[], picked: Candidate[]): Map<string, string> | null => {
    if (picked.length === order.length) {
      const by = new Map(picked.map((c) => [c.name, c.version]));
      const holds = picked.every((c) => c.dependencies.every((d) => fits(by.get(d.name) ?? '', d, all)));
      return holds ? by : null;
    }
    for (const candidate of all.get(order[picked.length] as string) ?? []) {
      const found = candidate.dependencies.map((d) => d.name).sort();
      const fresh = [...new Set(found)].filter((n) => !order.includes(n));
      const answer = step([...order, ...fresh], [...picked, candidate]);
      if (answer !== null) return answer;
    }
    return null;
  };
  return step([...new Set(roots)], []);
}

describe('resolve', () => {
  it('takes the highest version that satisfies all in a diamond', () => {
    const look = world(
      v('app', '1.0.0', { left: '^1.0.0', right: '^1.0.0' }),
      v('left', '1.0.0', { base: '>=1.0.0 <1.5.0' }),
      v('right', '1.0.0', { base: '^1.2.0' }),
      v('base', '1.9.0'),
      v('base', '1.4.0'),
      v('base', '1.1.0'),
    );
    expect(chosen(['app'], look)).toEqual({ app: '1.0.0', left: '1.0.0', right: '1.0.0', base: '1.4.0' });
  });

  it('goes back to an older dependent when the newest has no dependency that fits', () => {
    const look = world(
      v('app', '2.0.0', { base: '^9.0.0' }),
      v('app', '1.0.0', { base: '^1.0.0' }),
      v('base', '1.0.0'),
    );
    expect(chosen(['app'], look)).toEqual({ app: '1.0.0', base: '1.0.0' });
  });

  it('installs the members of a cycle together', () => {
    const look = world(v('a', '1.0.0', { b: '^1.0.0' }), v('b', '1.0.0', { a: '^1.0.0' }));
    expect(chosen(['a'], look)).toEqual({ a: '1.0.0', b: '1.0.0' });
  });

  it('lets prereleases satisfy a range only as semver says', () => {
    const look = world(v('app', '1.0.0', { base: '^2.0.0' }), v('base', '2.1.0-beta.1'), v('base', '2.0.0'));
    expect(chosen(['app'], look).base).toBe('2.0.0');
    const named = world(v('app', '1.0.0', { base: '^2.1.0-beta.0' }), v('base', '2.1.0-beta.1'), v('base', '2.0.0'));
    expect(chosen(['app'], named).base).toBe('2.1.0-beta.1');
  });

  it('takes a prerelease for a dependency without a range only where nothing stable is there, and tells of one otherwise', () => {
    const needs = v('app', '1.0.0', { base: '*' });
    expect(chosen(['app'], world(needs, v('base', '2.0.0-beta.1'), v('base', '1.0.0-rc.1'))).base).toBe('2.0.0-beta.1');
    expect(chosen(['app'], world(needs, v('base', '2.0.0-beta.1'), v('base', '1.0.0'))).base).toBe('1.0.0');
    const asked = refused(['app'], world(v('app', '1.0.0', { base: '>=1.0.0' }), v('base', '2.0.0-beta.1')));
    expect(asked.explanation).toBe(
      'app@1.0.0 wants base >=1.0.0, but available: 2.0.0-beta.1 (prereleases, which a range takes only where it names one)',
    );
  });

  it('does not install optional dependencies', () => {
    const app: Candidate = {
      name: 'app',
      version: '1.0.0',
      dependencies: [{ name: 'extra', range: '*', kind: 'optional' }],
    };
    expect(chosen(['app'], world(app, v('extra', '1.0.0')))).toEqual({ app: '1.0.0' });
  });

  it('says who wants what when nothing fits, and names the roots that cannot be had together', () => {
    const look = world(
      v('app', '1.0.0', { base: '^1.0.0' }),
      v('tool', '1.0.0', { base: '^2.0.0' }),
      v('bystander', '1.0.0'),
      v('base', '2.0.0'),
      v('base', '1.0.0'),
    );
    const conflict = refused(['app', 'bystander', 'tool'], look);
    expect(conflict.roots.sort()).toEqual(['app', 'tool']);
    expect(conflict.explanation).toContain('app@1.0.0 wants base ^1.0.0');
    expect(conflict.explanation).toContain('tool@1.0.0 wants base ^2.0.0');
    expect(conflict.missing).toBe(false);
  });

  it('tells a dependency that does not exist from a conflict', () => {
    const conflict = refused(['app'], world(v('app', '1.0.0', { ghost: '^1.0.0' })));
    expect(conflict.missing).toBe(true);
    expect(conflict.explanation).toBe('app@1.0.0 wants ghost ^1.0.0, but no version of ghost is available here');
  });

  it('equals an exhaustive search on random graphs, answer or none, and explains every refusal', () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    const some = ['*', '^1.0.0', '^2.0.0', '>=2.0.0', '<2.0.0', '1.0.0', '3.0.0', '^1.1.0', '>=1.2.0-beta.1 <2.0.0'];
    const range = fc.constantFrom(...some);
    const needs = fc.dictionary(fc.constantFrom(...names), range, { maxKeys: 3 });
    const plugin = fc
      .subarray(['3.0.0', '3.0.0-rc.1', '2.0.0', '1.2.0-beta.1', '1.1.0', '1.0.0'], { minLength: 0, maxLength: 4 })
      .chain((versions) => fc.tuple(...versions.map((x) => fc.tuple(fc.constant(x), needs))));
    const graph = fc.record(Object.fromEntries(names.map((n) => [n, plugin])));
    let refusals = 0;
    fc.assert(
      fc.property(graph, fc.subarray(names, { minLength: 1 }), (plugins, roots) => {
        const all: World = new Map(
          names.map((n) => [n, (plugins[n] ?? []).map(([version, deps]) => v(n, version, deps))]),
        );
        const outcome = resolve(roots, (n) => all.get(n) ?? []);
        const expected = exhaustive(roots, all);
        if (outcome.ok) expect(new Map(outcome.resolution)).toEqual(expected);
        else {
          refusals++;
          expect(expected).toBeNull();
          expect(outcome.conflict.explanation).not.toBe('');
          expect(outcome.conflict.roots.length).toBeGreaterThan(0);
          expect(exhaustive(outcome.conflict.roots, all)).toBeNull();
        }
      }),
      { numRuns: 3000 },
    );
    expect(refusals).toBeGreaterThan(100);
  });
});
