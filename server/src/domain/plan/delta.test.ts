import { describe, expect, it } from 'vitest';
import { entryKeys, fromDelta, toDelta } from './delta.ts';
import { PLAN_FORMAT, type Plan, type PlanEntry } from './index.ts';

const entry = (name: string, version = '1.0.0'): PlanEntry => ({
  id: `${name}-${version}`,
  name,
  version,
  digest: `sha256:${name}${version}`,
  origin: 'published',
  pinned: false,
  notify: true,
  dependencies: [],
  status: 'published',
  requiredBy: [],
});
const plan = (plugins: PlanEntry[], counter = 1): Plan => ({
  format: PLAN_FORMAT,
  hub: 'h',
  machine: 'm',
  epoch: 1,
  plugins,
  problems: [],
  counter,
  issuedAt: '2026-01-01T00:00:00.000Z',
  expiresAt: '2026-01-08T00:00:00.000Z',
});
const names = Array.from({ length: 100 }, (_, i) => `p${String(i).padStart(3, '0')}`);

function roundTrip(before: Plan, after: Plan): { same: boolean; bytes: number } {
  const delta = JSON.stringify(toDelta(entryKeys(before.plugins), after, entryKeys(after.plugins)));
  const made = fromDelta(JSON.parse(JSON.stringify(before)), JSON.parse(delta));
  return { same: JSON.stringify(made) === JSON.stringify(after), bytes: delta.length };
}

describe('a plan as a delta', () => {
  const before = plan(names.map((n) => entry(n)));

  it('gives the very bytes again after an update, an addition, a removal and another order', () => {
    const updated = names.map((n) => entry(n, n === 'p050' ? '1.1.0' : '1.0.0'));
    for (const after of [
      updated,
      [entry('a'), ...before.plugins],
      before.plugins.slice(0, 40).concat(before.plugins.slice(60)),
      [...before.plugins].reverse(),
      [],
    ]) {
      expect(roundTrip(before, plan(after, 2)).same).toBe(true);
    }
  });

  it('costs what changed, not what is there', () => {
    const after = plan(
      names.map((n) => entry(n, n === 'p050' ? '1.1.0' : '1.0.0')),
      2,
    );
    expect(roundTrip(before, after).bytes).toBeLessThan(500);
  });

  it('says when it does not fit the base', () => {
    const delta = toDelta(entryKeys(before.plugins), before, entryKeys(before.plugins));
    expect(fromDelta(plan(before.plugins.slice(0, 99)), delta)).toBeNull();
  });
});
