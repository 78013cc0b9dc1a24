// Two folders a test run, for what its test files share (see tests/support/repository.ts). Nothing is built unless a test asks.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BARE_FOLDER_VARIABLE, REPOSITORY, RUN_FOLDER_VARIABLE } from './support/repository.ts';

export default async function setup(): Promise<() => Promise<void>> {
  const parent = join(REPOSITORY, 'node_modules', '.cache');
  await mkdir(parent, { recursive: true });
  const run = await mkdtemp(join(parent, 'haivemind-test-run-'));
  const bare = await mkdtemp(join(tmpdir(), 'hv test run-'));
  process.env[RUN_FOLDER_VARIABLE] = run;
  process.env[BARE_FOLDER_VARIABLE] = bare;
  return async () => {
    for (const folder of [run, bare]) await rm(folder, { recursive: true, force: true });
  };
}
