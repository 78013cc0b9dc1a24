// A version that is kept here for a rollback, of which something was lost meanwhile: said as that, and had from the hub by its name.
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { installPlugin } from '../../server/src/client/install/index.ts';
import { rollbackPlugin } from '../../server/src/client/install/rollback.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

let t: TestHub;
let one: RealClient;
const here = async () => (await readReceipts(one.ctx.machine)).plugins.p;
beforeEach(async () => {
  t = await testHub('sqlite');
  for (const version of ['1.0.0', '2.0.0']) await publish(t.url, t.admin, { name: 'p', version }, ['nobody']);
  one = await realClient(t.url, t.hub.joinToken, 'm1');
  await installPlugin(one.ctx, 'p', { version: '1.0.0' });
  await installPlugin(one.ctx, 'p');
  // An edit goes along: the tree of before is laid out anew, from what is kept.
  await writeFile(join(one.ctx.machine.paths.root, (await here())?.dir ?? '', 'mine.md'), 'mine');
});
afterEach(async () => {
  await one.remove();
  await t.close();
});

it.each(['blobs', 'records'] as const)('%s', async (name) => {
  await rm(one.ctx.machine.paths[name], { recursive: true });
  await expect(rollbackPlugin(one.ctx, 'p')).rejects.toMatchObject({
    code: 'ROLLBACK_UNAVAILABLE',
    message: 'What is kept of p 1.0.0 is not complete any more',
    hint: expect.stringContaining('hv rollback p --to 1.0.0'),
  });
  expect((await here())?.version).toBe('2.0.0');
  expect(await rollbackPlugin(one.ctx, 'p', '1.0.0')).toMatchObject({ from: '2.0.0', to: '1.0.0', pinned: true });
  const { version, extras, files } = (await here()) ?? {};
  expect([version, [...(extras ?? []), ...(files ?? [])].length > 0]).toEqual(['1.0.0', true]);
});
