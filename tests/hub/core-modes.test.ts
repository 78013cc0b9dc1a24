// `npx hv` in the hub's own checkout marks cli.mjs executable: that is no other haivemind-core.
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { pluginCopy } from '../support/repository.ts';
import { type TestHub, testHub } from './support.ts';

let copy: Awaited<ReturnType<typeof pluginCopy>>;
let t: TestHub;
beforeEach(async () => {
  copy = await pluginCopy();
  await chmod(join(copy.root, 'server/dist/cli.mjs'), 0o644);
  t = await testHub('sqlite', { deps: { coreRoot: copy.root } });
});
afterEach(async () => {
  await t?.close();
  await copy?.remove();
});

const refused = () => t.logged.filter((entry) => entry.message === 'haivemind-core could not be published');

it('starts again with the core it has, whoever may run its programs by their names', async () => {
  await chmod(join(copy.root, 'server/dist/cli.mjs'), 0o755);
  await t.another();
  expect(refused()).toEqual([]);
});

it('says so where a program of the core is another', async () => {
  await chmod(join(copy.root, 'hooks/session-start.sh'), 0o644);
  await t.another();
  expect(refused()).toHaveLength(1);
});
