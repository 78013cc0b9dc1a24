// A few seconds of fuzzing for each parser; ten minutes for each: `node tests/fuzz/fuzz.mjs --minutes 10 --keep`.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it('finds nothing in a few seconds', () => {
  const seed = String(Math.floor(Date.now() / 86_400_000));
  const args = [join(import.meta.dirname, 'fuzz.mjs'), '--seconds', '3', '--seed', seed];
  const { PATH, HOME } = process.env;
  const run = spawnSync(process.execPath, args, { encoding: 'utf8', env: { PATH, HOME } });
  console.log(`seed ${seed}\n${run.stdout}`);
  expect(run.stdout).toContain('settings: ');
  expect(run.stdout).not.toContain('CRASH');
  expect(run.status).toBe(0);
});
