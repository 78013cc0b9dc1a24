import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { desiredState } from '../../server/src/domain/desired/desired-state.ts';
import { resolve } from '../../server/src/domain/desired/resolve.ts';
import { machine, override, registry, version } from '../support/registry-data.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];

const graph = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom(...NAMES),
    version: fc.constantFrom('1.0.0', '2.0.0'),
    needs: fc.dictionary(fc.constantFrom(...NAMES, 'missing'), fc.constantFrom('*', '^1.0.0', '^2.0.0'), {
      maxKeys: 2,
      noNullPrototype: true,
    }),
  }),
  { maxLength: 10, selector: (v) => `${v.name}@${v.version}` },
);

it('leaves out what cannot be had even alone, and nothing that could be had without it', () => {
  const seen = { lost: 0, settled: 0 };
  fc.assert(
    fc.property(graph, (versions) => {
      const sorted = [...versions].sort((x, y) => (x.version < y.version ? 1 : -1));
      const r = registry(...sorted.map((v) => version(v.name, v.version, { needs: v.needs })));
      const candidates = (name: string) => r.plugins.get(name) ?? [];
      const names = [...r.plugins.keys()].sort();
      const hopeful = names.filter((name) => resolve([name], candidates).ok);
      const { plugins, problems } = desiredState(r, machine());
      const there = new Set(plugins.map((p) => p.name));
      expect(names.filter((name) => !hopeful.includes(name) && there.has(name))).toEqual([]);
      expect(problems.map((p) => p.name).sort()).toEqual(names.filter((name) => !there.has(name)));
      const best = resolve(hopeful, candidates);
      if (best.ok) {
        const wanted = [...best.resolution].map(([name, v]) => `${name}@${v}`);
        expect(plugins.map((p) => `${p.name}@${p.version}`).sort()).toEqual(wanted.sort());
        seen.settled++;
      }
      seen.lost += names.length - hopeful.length;
    }),
    { numRuns: 3000 },
  );
  expect(seen.lost).toBeGreaterThan(500);
  expect(seen.settled).toBeGreaterThan(500);
});

it('leaves out a chain of thousands whose end cannot be had, each with the reason', () => {
  const LENGTH = 2000;
  const chain = Array.from({ length: LENGTH }, (_, i) => version(`p${i}`, '1.0.0', { needs: { [`p${i + 1}`]: '*' } }));
  const excluded = desiredState(
    registry(...chain, version(`p${LENGTH}`, '1.0.0'), version('other', '1.0.0')),
    machine({
      overrides: [
        ...chain.map(({ name }) => override({ name, kind: 'install' })),
        override({ name: `p${LENGTH}`, kind: 'exclude' }),
      ],
    }),
  );
  expect(excluded.plugins.map((p) => p.name)).toEqual(['other']);
  expect(excluded.problems.length).toBe(LENGTH);
  const said = new Set(excluded.problems.map((p) => `${p.code} ${p.message}`));
  expect([...said]).toEqual([
    `DEPENDENCY_MISSING p${LENGTH - 1}@1.0.0 wants p${LENGTH} *, but no version of p${LENGTH} is available here`,
  ]);
});
