import { expect, it } from 'vitest';
import type { PlanEntry } from './index.ts';
import { liftedHolds } from './lifted-holds.ts';
import type { Lineage } from './lineage.ts';

const entry = (digest: string, pinned: boolean): PlanEntry => ({
  id: 'plugin_p',
  name: 'p',
  version: '1.0.0',
  digest,
  origin: 'explicit',
  pinned,
  notify: true,
  dependencies: [],
  status: 'published',
  requiredBy: [],
});
const plan = (plugins: PlanEntry[], more: { epoch?: number; lineage?: Lineage[] } = {}) => ({
  epoch: 1,
  plugins,
  ...more,
});
const HELD = { p: { digest: 'old' } };
const held = plan([entry('old', true)]);

it.each([
  ['a newer version floats in its place', held, plan([entry('new', false)]), ['p']],
  ['what was held floats', held, plan([entry('old', false)]), ['p']],
  ['it is held still', held, held, []],
  ['another exact version is ordered', held, plan([entry('new', true)]), []],
  ['it is not planned any more', held, plan([]), []],
  ['the hub did not hold it before', plan([entry('new', false)]), plan([entry('newer', false)]), []],
  ['the hub held another version', plan([entry('other', true)]), plan([entry('new', false)]), []],
  ['an epoch lies between', held, plan([entry('new', false)], { epoch: 2 }), []],
  ['a restored backup lies between', held, plan([entry('new', false)], { lineage: [['a', 3]] }), []],
])('where %s', (_, before, now, lifted) => {
  expect(liftedHolds(before, now, HELD)).toEqual(lifted);
  expect(liftedHolds(before, now, {})).toEqual([]);
});
