import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inRange } from '../desired/resolve.ts';
import type { PlanEntry } from './index.ts';
import { type InstalledFacts, type PickInput, pickChanges } from './pick-changes.ts';

const needs = (...list: string[]) =>
  list.map((text) => ({ name: text.split('@')[0] ?? '', range: text.split('@')[1] ?? '*', kind: 'required' as const }));

function entry(name: string, version: string, extra: Partial<PlanEntry> = {}): PlanEntry {
  return {
    id: `plugin_${name}_${version}`,
    name,
    version,
    digest: `sha256:${name}-${version}`,
    origin: 'published',
    pinned: false,
    notify: true,
    dependencies: [],
    status: 'published',
    requiredBy: [],
    ...extra,
  };
}

const has = (name: string, version: string, ...deps: string[]): [string, InstalledFacts] => [
  name,
  { version, digest: `sha256:${name}-${version}`, dependencies: needs(...deps) },
];

const pick = (input: Partial<PickInput>) => {
  const full: PickInput = {
    plan: [],
    problems: [],
    installed: new Map(),
    holds: new Set(),
    refused: new Map(),
    policy: { installNew: true, installUpdates: true },
    ...input,
  };
  const picked = pickChanges(full);
  return {
    install: picked.install.map((e) => `${e.name}@${e.version}`),
    remove: picked.remove,
    waiting: picked.waiting.map((w) => `${w.name}:${w.why}`),
  };
};

describe('pickChanges', () => {
  it('installs what is new, updates what changed, removes what the plan lacks', () => {
    const plan = [entry('a', '1.0.0'), entry('b', '2.0.0')];
    const installed = new Map([has('b', '1.0.0'), has('c', '1.0.0')]);
    expect(pick({ plan, installed })).toEqual({ install: ['a@1.0.0', 'b@2.0.0'], remove: ['c'], waiting: [] });
  });

  it('does nothing when in step', () => {
    expect(pick({ plan: [entry('a', '1.0.0')], installed: new Map([has('a', '1.0.0')]) })).toEqual({
      install: [],
      remove: [],
      waiting: [],
    });
  });

  it('lets updates wait by policy, and first installs by theirs', () => {
    const plan = [entry('a', '1.0.0'), entry('b', '2.0.0')];
    const installed = new Map([has('b', '1.0.0')]);
    const policy = { installNew: false, installUpdates: false };
    expect(pick({ plan, installed, policy })).toEqual({ install: [], remove: [], waiting: ['a:policy', 'b:policy'] });
    expect(pick({ plan, installed, policy: { ...policy, installNew: true } }).install).toEqual(['a@1.0.0']);
    expect(pick({ plan, installed, policy, always: ['b'] }).install).toEqual(['b@2.0.0']);
  });

  it('carries out explicit installs whatever the policy says, but a float waits like other updates', () => {
    const policy = { installNew: false, installUpdates: false };
    expect(pick({ plan: [entry('a', '1.0.0', { origin: 'explicit' })], policy }).install).toEqual(['a@1.0.0']);
    const installed = new Map([has('a', '1.0.0')]);
    const float = [entry('a', '2.0.0', { origin: 'explicit' })];
    expect(pick({ plan: float, installed, policy }).waiting).toEqual(['a:policy']);
    const pinned = [entry('a', '2.0.0', { origin: 'explicit', pinned: true })];
    expect(pick({ plan: pinned, installed, policy }).install).toEqual(['a@2.0.0']);
  });

  it('brings a dependency along, and waits as a whole when the dependency may not come', () => {
    const plan = [entry('d', '2.0.0'), entry('a', '1.0.0', { origin: 'explicit', dependencies: needs('d@^2.0.0') })];
    const policy = { installNew: false, installUpdates: false };
    expect(pick({ plan, policy }).install).toEqual(['d@2.0.0', 'a@1.0.0']);
    const refused = new Map([['sha256:d-2.0.0', 'HASH_MISMATCH']]);
    expect(pick({ plan, policy, refused })).toEqual({
      install: [],
      remove: [],
      waiting: ['d:refused', 'a:dependency'],
    });
  });

  it('keeps a held plugin and whatever its old version needs', () => {
    const plan = [entry('d', '2.0.0'), entry('a', '2.0.0', { dependencies: needs('d@^2.0.0') })];
    const installed = new Map([has('a', '1.0.0', 'd@^1.0.0'), has('d', '1.0.0')]);
    const holds = new Set(['a']);
    expect(pick({ plan, installed, holds })).toEqual({ install: [], remove: [], waiting: ['d:dependency', 'a:held'] });
  });

  it('does not remove what a held plugin needs', () => {
    const plan = [entry('a', '2.0.0')];
    const installed = new Map([has('a', '1.0.0', 'd@*'), has('d', '1.0.0')]);
    const got = pick({ plan, installed, holds: new Set(['a']) });
    expect(got.remove).toEqual([]);
    expect(pick({ plan, installed })).toEqual({ install: ['a@2.0.0'], remove: ['d'], waiting: [] });
  });

  it('keeps what the hub could not fit', () => {
    const problems = [{ name: 'a', code: 'DEPENDENCY_CONFLICT', message: 'a needs d ^1' }];
    expect(pick({ problems, installed: new Map([has('a', '1.0.0')]) })).toEqual({
      install: [],
      remove: [],
      waiting: ['a:dependency'],
    });
  });

  it('what went along with a plugin goes with it, down to the last, and what others need or somebody wants stays', () => {
    const chain = [has('app', '1.0.0', 'lib'), has('lib', '1.0.0', 'base'), has('base', '1.0.0')];
    const removed = (installed: [string, InstalledFacts][], plan: PlanEntry[] = []): string[] =>
      pick({ plan, installed: new Map(installed), only: ['app'] }).remove.sort();
    expect(removed(chain)).toEqual(['app', 'base', 'lib']);
    expect(removed([...chain, has('other', '1.0.0', 'base')])).toEqual(['app', 'lib']);
    // The hub's plan still holds what somebody installed by hand.
    expect(removed(chain, [entry('lib', '1.0.0', { dependencies: needs('base') }), entry('base', '1.0.0')])).toEqual([
      'app',
    ]);
    const circle = [has('x', '1.0.0', 'y'), has('y', '1.0.0', 'x', 'base')];
    expect(removed([has('app', '1.0.0', 'x'), has('base', '1.0.0'), ...circle])).toEqual(['app', 'base', 'x', 'y']);
    // Two that need only each other were not brought by what goes.
    expect(removed([has('app', '1.0.0', 'base'), has('base', '1.0.0'), ...circle])).toEqual(['app']);
  });

  it('changes only what it is told to', () => {
    const plan = [entry('a', '2.0.0'), entry('b', '2.0.0')];
    const installed = new Map([has('a', '1.0.0'), has('b', '1.0.0'), has('c', '1.0.0', 'd@*'), has('d', '1.0.0')]);
    expect(pick({ plan, installed, only: ['a'] })).toMatchObject({ install: ['a@2.0.0'], remove: [] });
    expect(pick({ plan, installed, only: ['c'] })).toMatchObject({ install: [], remove: ['c', 'd'] });
  });

  it('reinstalls once for each forced order, and always when forced here', () => {
    const plan = [entry('a', '1.0.0', { force: 'n1' })];
    const [name, facts] = has('a', '1.0.0');
    expect(pick({ plan, installed: new Map([[name, facts]]) }).install).toEqual(['a@1.0.0']);
    const done = new Map([[name, { ...facts, force: 'n1' }]]);
    expect(pick({ plan, installed: done }).install).toEqual([]);
    expect(pick({ plan, installed: done, force: true }).install).toEqual(['a@1.0.0']);
  });

  it('never breaks what stays: for any plan that is sound and any sound machine', () => {
    const names = ['a', 'b', 'c', 'd'];
    const version = fc.constantFrom('1.0.0', '1.1.0', '2.0.0');
    const state = fc.dictionary(
      fc.constantFrom(...names),
      fc.record({ version, deps: fc.subarray(names), hold: fc.boolean(), refuse: fc.boolean() }),
      { noNullPrototype: true },
    );
    const close = (raw: Record<string, { version: string; deps: string[] }>) =>
      new Map(
        Object.entries(raw).map(([name, r]) => [
          name,
          {
            version: r.version,
            deps: r.deps.filter((d) => d !== name && raw[d] !== undefined).map((d) => `${d}@^${raw[d]?.version}`),
          },
        ]),
      );
    fc.assert(
      fc.property(state, state, fc.boolean(), fc.boolean(), fc.option(fc.subarray(names)), (want, have, n, u, only) => {
        const planned = [...close(want)].map(([name, r]) => entry(name, r.version, { dependencies: needs(...r.deps) }));
        // The version folder of a name must agree on both sides, as a digest would.
        const here = new Map(
          [...close(have)].map(([name, r]) => {
            const same = planned.find((e) => e.name === name && e.version === r.version);
            const [, facts] = has(name, r.version, ...r.deps);
            return [name, { ...facts, dependencies: same?.dependencies ?? facts.dependencies }];
          }),
        );
        const sound = (state: ReadonlyMap<string, InstalledFacts>) =>
          [...state.values()].every((f) =>
            f.dependencies.every((d) => inRange(state.get(d.name)?.version ?? 'none', d.range)),
          );
        fc.pre(sound(here));
        const picked = pickChanges({
          plan: planned,
          problems: [],
          installed: here,
          holds: new Set(Object.keys(have).filter((k) => have[k]?.hold)),
          refused: new Map(planned.filter((e) => want[e.name]?.refuse).map((e) => [e.digest, 'x'])),
          policy: { installNew: n, installUpdates: u },
          only: only ?? undefined,
        });
        const after = new Map(here);
        for (const name of picked.remove) after.delete(name);
        for (const e of picked.install) after.set(e.name, e);
        expect(sound(after)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe('what may not run here', () => {
  const banned = new Map([['sha256:a-1.0.0', 'revoked: steals keys']]);

  it('goes, whatever the policy, a hold, the scope or a dependent says', () => {
    const installed = new Map([has('a', '1.0.0'), has('b', '1.0.0', 'a')]);
    const problems = [{ name: 'a', code: 'DEPENDENCY_CONFLICT', message: 'm' }];
    const policy = { installNew: false, installUpdates: false };
    const picked = pick({
      installed,
      banned,
      problems,
      policy,
      holds: new Set(['a']),
      only: ['b'],
      plan: [entry('b', '1.0.0')],
    });
    expect(picked.remove).toEqual(['a']);
    expect(picked.install).toEqual([]);
  });

  it('is replaced where the policy lets another version come', () => {
    const installed = new Map([has('a', '1.0.0')]);
    expect(pick({ installed, banned, plan: [entry('a', '1.1.0')] })).toMatchObject({
      install: ['a@1.1.0'],
      remove: [],
    });
    const policy = { installNew: true, installUpdates: false };
    expect(pick({ installed, banned, policy, plan: [entry('a', '1.1.0')] })).toMatchObject({
      install: [],
      remove: ['a'],
    });
  });

  it('is not installed though a plan names it, not even by force', () => {
    const plan = [entry('a', '1.0.0')];
    expect(pick({ banned, plan, force: true }).install).toEqual([]);
    expect(pick({ banned, plan, installed: new Map([has('a', '1.0.0')]), force: true })).toMatchObject({
      install: [],
      remove: ['a'],
    });
    expect(pick({ banned, plan, installed: new Map([has('a', '0.9.0')]) })).toMatchObject({
      install: [],
      remove: [],
      waiting: ['a:refused'],
    });
  });
});
