// One folder a test run, for what its test files share (see tests/support/repository.ts). Nothing is built unless a test asks.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { REPOSITORY, RUN_FOLDER_VARIABLE } from './support/repository.ts';

export default async function setup(): Promise<() => Promise<void>> {
  const parent = join(REPOSITORY, 'node_modules', '.cache');
  await mkdir(parent, { recursive: true });
  const run = await mkdtemp(join(parent, 'haivemind-test-run-'));
  process.env[RUN_FOLDER_VARIABLE] = run;
  return () => rm(run, { recursive: true, force: true });
}
