import { expect, it } from 'vitest';
import { checkRandomOperations } from './in-process.ts';

const OPERATIONS = 10_000;

it('ten thousand random operations, with and without faults', { timeout: 1_200_000 }, async () => {
  const first = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  const all = { operations: 0, faults: 0, old: 0, fresh: 0 };
  let seed = first;
  for (; all.operations < OPERATIONS; seed++) {
    console.log(`seed ${seed}`);
    const counts = await checkRandomOperations({ seed, runs: 30, length: 80 });
    for (const key of Object.keys(all) as (keyof typeof all)[]) all[key] += counts[key];
  }
  console.log(`seeds ${first} to ${seed - 1}:`, all);
  expect(all.old + all.fresh).toBe(all.faults);
  expect(Math.min(all.old, all.fresh)).toBeGreaterThan(200);
});
