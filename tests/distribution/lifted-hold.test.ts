// The hold of a rollback ends where it is lifted: no report of the machine puts it back.
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type ClientContext, openClient } from '../../server/src/client/context.ts';
import { ask } from '../../server/src/client/hub/registry.ts';
import { installPlugin, updatePlugins } from '../../server/src/client/install/index.ts';
import { rollbackPlugin } from '../../server/src/client/install/rollback.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { realFilePort } from '../../server/src/machine/files/file-port.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { publish, type TestHub, testHub } from '../hub/support.ts';
import { type RealClient, realClient } from './real-client.ts';

let t: TestHub;
let one: RealClient;
let two: RealClient;
beforeEach(async () => {
  t = await testHub('sqlite');
  for (const version of ['1.0.0', '2.0.0']) await publish(t.url, t.admin, { name: 'p', version }, ['nobody']);
  one = await realClient(t.url, t.hub.joinToken, 'm1');
  two = await realClient(t.url, t.hub.joinToken, 'm2', { plugins: { auto_install_updates: false } });
  for (const { ctx } of [one, two]) {
    await installPlugin(ctx, 'p', { version: '1.0.0' });
    await installPlugin(ctx, 'p');
    await rollbackPlugin(ctx, 'p');
    await byItself({ ctx });
  }
});
afterEach(async () => {
  await one.remove();
  await two.remove();
  await t.close();
});

const byItself = ({ ctx }: Pick<RealClient, 'ctx'>) => syncMachine(ctx, { mode: 'agent' });
const operatorAt = ({ ctx }: RealClient): ClientContext => ({ ...ctx, env: { ...ctx.env, token: t.admin } });

/** What is here, what is held here, and what the hub is told of it. */
async function stands({ ctx }: RealClient) {
  const { plugins, holds } = await readReceipts(ctx.machine);
  const params = { machine: ctx.config.machine?.name ?? '' };
  const { overrides } = await ask(operatorAt(one), 'operator', (hub) => hub.call('machine', { params }));
  return { here: plugins.p?.version, held: Object.keys(holds), told: overrides.map((o) => o.kind).sort() };
}

it('an update ends it also where another session of the machine hears of that before it is done', async () => {
  expect(await stands(one)).toEqual({ here: '1.0.0', held: ['p'], told: ['hold', 'install'] });
  const real = realFilePort();
  let first = true;
  const link: typeof real.link = async (from, to) => {
    if (first) {
      first = false;
      await byItself(one);
    }
    return real.link(from, to);
  };
  await updatePlugins(await openClient(one.ctx.env, { port: { ...real, link } }), ['p']);
  expect(await stands(one)).toEqual({ here: '2.0.0', held: [], told: ['install'] });
});

it("an operator's order ends it on the machine that it names", async () => {
  await installPlugin(operatorAt(two), 'p', { machines: ['m1'] });
  expect((await byItself(one)).waiting).toEqual([]);
  expect(await stands(one)).toEqual({ here: '2.0.0', held: [], told: ['install'] });
});

it('what is not held any more waits as any update does', async () => {
  await installPlugin(operatorAt(one), 'p', { machines: ['m2'] });
  expect((await byItself(two)).waiting).toMatchObject([{ name: 'p', to: '2.0.0', why: 'policy' }]);
  expect(await stands(two)).toEqual({ here: '1.0.0', held: [], told: ['install'] });
});

it('it stays where nobody lifted it', async () => {
  await publish(t.url, t.admin, { name: 'p', version: '3.0.0' }, ['nobody']);
  await byItself(one);
  expect(await stands(one)).toEqual({ here: '1.0.0', held: ['p'], told: ['hold', 'install'] });
});

it('it ends also where another CLAUDE_CONFIG_DIR of the HOME has heard of that before', async () => {
  const other = await openClient({ ...one.ctx.env, claudeConfigDir: join(one.home.home, 'other') });
  await syncMachine(other, { mode: 'agent' });
  await byItself(one);
  await installPlugin(operatorAt(two), 'p', { machines: ['m1'] });
  await byItself({ ctx: other });
  await byItself(one);
  expect(await stands(one)).toEqual({ here: '2.0.0', held: [], told: ['install'] });
});
