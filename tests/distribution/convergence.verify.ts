import { it } from 'vitest';
import { checkConvergence } from './convergence-property.ts';

it('converges over many more histories', { timeout: 240_000 }, () => {
  const seed = Number(process.env.SEED) || Date.now() % 2 ** 31;
  console.log(`convergence seed ${seed}`);
  checkConvergence(20_000, seed);
});
