// `hv sync --frozen` beside the machine's own live channel: what this machine does not come to, no other process begins either.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { spool } from '../../server/src/client/report/spool.ts';
import { syncFrozen } from '../../server/src/client/sync/frozen.ts';
import { type SyncResult, syncMachine } from '../../server/src/client/sync/index.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { json, problem, serve, version } from './scripted-hub.ts';
import { hub, m, scriptedPair } from './scripted-pair.ts';

const [PLAN, SET, UNDO] = ['GET /api/machines/me/plan', 'PUT /api/machines/me/set', 'DELETE /api/machines/me/set'];
const command = (text: string) => ({ 'commands/c.md': `---\ndescription: c\n---\n${text}` });
const [here, more, denied] = [
  version('here', '1.0.0', command('here')),
  version('more', '1.0.0', command('more')),
  version('denied', '1.0.0', command('denied')),
];

let live: Promise<SyncResult> | undefined;
scriptedPair();
beforeEach(async () => {
  live = undefined;
  serve(hub, [here], { counter: 1, etag: '"1"' });
  await syncMachine(m.ctx, { mode: 'explicit' });
  hub.answers[SET] = async (_, response) => {
    serve(hub, [more, denied], { counter: 2, etag: '"2"' });
    // The bell rings at once: a session that is open asks, and has its answer before the order's own.
    const asked = () => hub.seen.filter((path) => path === PLAN).length;
    const before = asked();
    live = syncMachine(await m.reopen(), { mode: 'agent' });
    while (asked() === before) await sleep(5);
    json(response, { installed: ['more', 'denied'], excluded: ['here'], warnings: [], seq: 2 });
  };
  hub.answers[UNDO] = (_, response) => {
    serve(hub, [here], { counter: 3, etag: '"1"' });
    json(response, { ok: true, seq: 3 });
  };
});
afterEach(async () => {
  await live?.catch(() => undefined);
});

async function frozen(): Promise<SyncResult> {
  const file = join(m.home, 'lock.json');
  const plugins = [more, denied].map(({ entry: { name, version: v, digest } }) => ({ name, version: v, digest }));
  await writeFile(file, JSON.stringify({ format: 1, plugins }));
  return syncFrozen(await m.reopen(), file);
}
const set = async () => Object.keys((await readReceipts(m.ctx.machine)).plugins).sort();

it('a set that the machine refuses is taken back before a waiting session gets to carry it out', async () => {
  await writeFile(m.ctx.machine.paths.policy, JSON.stringify({ plugins: { deny: ['denied'] } }));
  await expect(frozen()).rejects.toMatchObject({ code: 'LOCK_MISMATCH', message: expect.stringContaining('denied') });
  expect(await live).toMatchObject({
    changed: { installed: [], removed: [] },
    problems: [],
  });
  expect(await set()).toEqual(['here']);
});

it('a set that is had is had once, and the waiting session finds nothing to do', async () => {
  expect((await frozen()).changed).toMatchObject({
    installed: [{ name: 'more' }, { name: 'denied' }],
    removed: ['here'],
  });
  expect(await live).toMatchObject({ changed: { installed: [], removed: [] } });
  expect(await set()).toEqual(['denied', 'more']);
  expect(hub.seen).not.toContain(UNDO);
});

it('nothing is ordered where the plan is refused, and a removal that waited is told before the order', async () => {
  const REMOVE = 'POST /api/plugins/more/uninstall';
  hub.answers[REMOVE] = (_, response) => json(response, { name: 'more', machines: ['test'], along: [], seq: 1 });
  await spool(m.ctx.machine, { call: 'uninstall', name: 'more' });
  await frozen();
  expect(hub.seen.indexOf(REMOVE)).toBeLessThan(hub.seen.indexOf(SET));
  await live;
  const orders = () => hub.seen.filter((path) => path === SET).length;
  const before = orders();
  serve(hub, [], { counter: 1, etag: '"0"' });
  await expect(frozen()).rejects.toMatchObject({ code: 'PLAN_REPLAYED' });
  expect(orders()).toBe(before);
});

it('an older hub, which knows no such order, is named as that', async () => {
  hub.answers[SET] = (_, response) => problem(response, 405, 'METHOD_NOT_ALLOWED', 'no PUT here');
  await expect(frozen()).rejects.toMatchObject({
    code: 'METHOD_NOT_ALLOWED',
    hint: expect.stringContaining('hub is older'),
  });
  expect(await set()).toEqual(['here']);
});
