// A few checks of each day's sample are taken out, and tests must notice; all of them: `node tests/security/mutation/mutate.mjs`.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const SAMPLE = 8;

it('tests notice when a check is taken out', () => {
  const day = Math.floor(Date.now() / 86_400_000);
  const args = [join(import.meta.dirname, 'mutate.mjs'), '--sample', String(SAMPLE), '--seed', String(day)];
  const run = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: process.env.HOME },
  });
  console.log(`seed ${day}\n${run.stdout}`);
  expect(run.stderr).not.toContain('Error');
  expect(run.stdout).toContain(`${SAMPLE} taken out, ${SAMPLE} noticed, 0 not`);
  expect(run.status).toBe(0);
});
