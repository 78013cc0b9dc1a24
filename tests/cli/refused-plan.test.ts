// A machine that refuses its hub's plan says so there, and not again at every sync.
import { expect, it } from 'vitest';
import { openClient } from '../../server/src/client/context.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { HaiveError } from '../../server/src/domain/errors.ts';
import { type FilePort, realFilePort } from '../../server/src/machine/files/file-port.ts';
import { json, problem, reports, serve, version } from './scripted-hub.ts';
import { hub, m, scriptedPair } from './scripted-pair.ts';

const code = (expected: string) => expect.objectContaining({ code: expected });
const a1 = version('alpha', '1.0.0', { 'commands/a.md': 'a' });

scriptedPair();

it('is told to the hub once, by itself; a person who asks, another refusal and a plan that is followed tell it anew', async () => {
  const [PLAN, STATUS] = ['GET /api/machines/me/plan', 'POST /api/machines/me/status'];
  const asked = async (mode: 'agent' | 'session' | 'explicit', refused = true) => {
    const before = hub.seen.length;
    const sync = syncMachine(await m.reopen(), { mode });
    if (refused) await expect(sync).rejects.toEqual(code('PLAN_REPLAYED'));
    else await sync;
    return hub.seen.slice(before).filter((path) => path === PLAN || path === STATUS);
  };
  serve(hub, [a1], { counter: 5 });
  await syncMachine(m.ctx, { mode: 'explicit' });
  serve(hub, [], { counter: 3, etag: '"x"' });
  hub.answers[STATUS] = (_, response) => problem(response, 503, 'SHUTTING_DOWN', 'bye');
  expect(await asked('agent')).toContain(STATUS);
  hub.answers[STATUS] = (_, response) => json(response, { ok: true });
  expect(await asked('agent')).toEqual([PLAN, STATUS]);
  expect(await asked('session')).toEqual([PLAN]);
  expect(await asked('agent')).toEqual([PLAN]);
  expect(await asked('explicit')).toEqual([PLAN, STATUS]);
  expect(await asked('agent')).toEqual([PLAN]);
  serve(hub, [], { counter: 4, etag: '"y"' });
  expect(await asked('agent')).toEqual([PLAN, STATUS]);
  serve(hub, [a1], { counter: 6, etag: '"z"' });
  expect(await asked('agent', false)).toEqual([PLAN, STATUS]);
  expect(reports(hub).at(-1)).not.toHaveProperty('refused');
  expect(await asked('agent', false)).toEqual([PLAN]);
});

it('is said also where nothing can be written down', async () => {
  serve(hub, [a1], { counter: 5 });
  await syncMachine(m.ctx, { mode: 'explicit' });
  serve(hub, [], { counter: 4, etag: '"x"' });
  const real = realFilePort();
  const port: FilePort = {
    ...real,
    async writeFile(path, bytes, options) {
      if (path.includes('report.json')) throw new HaiveError('DISK_FULL', 'no room');
      return real.writeFile(path, bytes, options);
    },
  };
  const full = await openClient(m.ctx.env, { port });
  await expect(syncMachine(full, { mode: 'agent' })).rejects.toEqual(code('PLAN_REPLAYED'));
});
