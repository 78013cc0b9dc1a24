import { expect, it } from 'vitest';
import { checkRandomOperations } from './in-process.ts';

it('random operations, with and without faults, do what the model says', { timeout: 180_000 }, async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  console.log(`seed ${seed}`);
  const counts = await checkRandomOperations({ seed, runs: 10, length: 60 });
  console.log('random operations', counts);
  expect(counts.operations).toBeGreaterThan(150);
  expect(counts.faults).toBeGreaterThan(30);
});
