// A hub that takes a question and never answers it: what needs no hub is done at once, is told as done, and is told to the hub later.
import { readdir } from 'node:fs/promises';
import { beforeEach, expect, it } from 'vitest';
import { updatePlugins } from '../../server/src/client/install/index.ts';
import { rollbackPlugin } from '../../server/src/client/install/rollback.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { withLock } from '../../server/src/machine/processes/lock.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { json, problem, serve, version } from './scripted-hub.ts';
import { hub, m, scriptedPair } from './scripted-pair.ts';

const PLAN = 'GET /api/machines/me/plan';
const HOLD = 'PUT /api/machines/me/overrides/alpha';
const alpha = (v: string) => version('alpha', v, { 'commands/a.md': `---\ndescription: a\n---\n${v}` });

const NO_OVERRIDES = {
  ...{ id: 'machine_test', name: 'test', groups: [], capabilities: [], platform: 'linux', haivemind_version: '1.0.0' },
  ...{ joined_at: '2026-01-01T00:00:00.000Z', last_seen: null, online: true },
  ...{ plugins: [], desired: [], overrides: [], problems: [] },
};

scriptedPair();
beforeEach(async () => {
  for (const [i, v] of ['1.0.0', '2.0.0', '3.0.0'].entries()) {
    serve(hub, [alpha(v)], { counter: i + 1 });
    await syncMachine(await m.reopen(), { mode: 'explicit' });
  }
  hub.seen.length = 0;
});

const hangs = () => new Promise(() => {});
const live = async () => (await readReceipts(m.ctx.machine)).plugins.alpha?.version;
const kept = () => readdir(m.ctx.machine.paths.spool);
const takesHolds = () => {
  const overrides: { name: string; kind: string; range: string }[] = [];
  hub.answers[HOLD] = (_, response, body) => {
    const one = { name: 'alpha', ...JSON.parse(body.toString()) };
    overrides.splice(0, overrides.length, one);
    json(response, { ...one, by: 'test', at: '2026-01-01T00:00:00.000Z', along: [], seq: 1 });
  };
  return overrides;
};

it('a rollback is told as done while another session holds the lock, and the hub hears of it with the next sync', async () => {
  hub.answers[HOLD] = hangs;
  let busy = Promise.resolve();
  const asked = rollbackPlugin(m.ctx, 'alpha');
  while (!hub.seen.includes(HOLD)) await new Promise((resolve) => setTimeout(resolve, 10));
  busy = withLock(m.ctx.machine, 'sync', () => asked.then(() => undefined));
  expect(await asked).toMatchObject({ from: '3.0.0', to: '2.0.0', hubTold: false });
  await busy;
  expect(await live()).toBe('2.0.0');
  expect(await kept()).toHaveLength(1);

  const overrides = takesHolds();
  await syncMachine(await m.reopen(), { mode: 'explicit' });
  expect(overrides).toMatchObject([{ kind: 'hold', range: '2.0.0' }]);
  expect([await live(), await kept()]).toEqual(['2.0.0', []]);
});

it('a rollback does not wait for a sync that waits for the hub', async () => {
  hub.answers[PLAN] = hangs;
  const gone = new AbortController();
  let waits = true;
  const syncing = syncMachine(await m.reopen(), { mode: 'explicit', signal: gone.signal }).catch(() => {
    waits = false;
  });
  while (!hub.seen.includes(PLAN)) await new Promise((resolve) => setTimeout(resolve, 10));
  const overrides = takesHolds();
  expect(await rollbackPlugin(await m.reopen(), 'alpha')).toMatchObject({ to: '2.0.0', hubTold: true });
  expect(waits).toBe(true);
  expect([await live(), await kept(), overrides.length]).toEqual(['2.0.0', [], 1]);
  gone.abort();
  await syncing;
  expect(await live()).toBe('2.0.0');
});

it('a hold that was lifted before the hub heard of it is not told any more', async () => {
  hub.answers[HOLD] = (_, response) => response.destroy();
  await rollbackPlugin(await m.reopen(), 'alpha', '1.0.0');
  expect(await kept()).toHaveLength(1);
  const overrides = takesHolds();
  hub.answers['GET /api/machines/me'] = (_, response) => json(response, NO_OVERRIDES);
  const { changed } = await updatePlugins(await m.reopen(), ['alpha']);
  expect(changed.updated).toEqual([{ name: 'alpha', from: '1.0.0', to: '3.0.0' }]);
  expect([overrides, await kept(), await live()]).toEqual([[], [], '3.0.0']);
});

it('a rollback to a version that did not come names the pin where the hub cannot be told to take it back', async () => {
  hub.answers['GET /api/machines/me'] = (_, response) => json(response, NO_OVERRIDES);
  hub.answers['POST /api/plugins/alpha/install'] = (_, response) => problem(response, 409, 'STATUS_FORBIDS', 'no');
  const failed = rollbackPlugin(await m.reopen(), 'alpha', '0.5.0');
  await expect(failed).rejects.toMatchObject({
    code: 'STATUS_FORBIDS',
    hint: expect.stringContaining('may have pinned alpha to 0.5.0 here: `hv install alpha` frees it'),
  });
  const cleared = 'DELETE /api/machines/me/overrides/alpha';
  expect(hub.seen).toContain(cleared);
  hub.answers[cleared] = (_, response) => json(response, { ok: true, seq: 1 });
  await expect(rollbackPlugin(await m.reopen(), 'alpha', '0.5.0')).rejects.toMatchObject({
    code: 'STATUS_FORBIDS',
    hint: 'hint of STATUS_FORBIDS',
  });
  expect(await live()).toBe('3.0.0');
});

it('a plan that another process has overtaken while the lock was waited for is asked for again', async () => {
  serve(hub, [alpha('4.0.0')], { counter: 4 });
  let syncing: ReturnType<typeof syncMachine> | undefined;
  await withLock(m.ctx.machine, 'another session', async () => {
    syncing = syncMachine(m.ctx, { mode: 'explicit' });
    while (!hub.seen.includes(PLAN)) await new Promise((resolve) => setTimeout(resolve, 10));
    await new Promise((resolve) => setTimeout(resolve, 100));
    serve(hub, [alpha('5.0.0')], { counter: 5 });
    await updateConfig(m.ctx.machine, (raw) => ({ ...raw, plan: { etag: '"5"', counter: 5, epoch: 1 } }));
  });
  expect((await syncing)?.changed.updated).toEqual([{ name: 'alpha', from: '3.0.0', to: '5.0.0' }]);
});
