import { defineConfig } from 'vitest/config';

/** The long sweeps: every crash point, every fault, random operations with printed seeds. */
export default defineConfig({
  test: {
    include: ['tests/**/*.verify.ts'],
    testTimeout: 1_200_000,
    hookTimeout: 180_000,
    // What shall happen may take its time on a slow machine; what never happens is found out all the same.
    expect: { poll: { timeout: 60_000 } },
    pool: 'forks',
    maxWorkers: 2,
  },
});
