// A machine that leaves has nothing of ours left, whatever else is under way.
import { existsSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { leaveHub } from '../../server/src/client/join/index.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { withLock } from '../../server/src/machine/processes/lock.ts';
import { command, left } from '../doctor/broken-machine.ts';
import { type Answer, json, serve, version } from './scripted-hub.ts';
import { hub, m, scriptedPair } from './scripted-pair.ts';

scriptedPair();

describe('a sync that is asking for its plan while this machine leaves', () => {
  const PLAN = 'GET /api/machines/me/plan';
  const GONE = 'DELETE /api/machines/me';
  const seen = async (what: string) => {
    while (!hub.seen.includes(what)) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  beforeEach(() => serve(hub, [version('team', '1.0.0', command('one'))]));

  it.each([
    ['before the hub hears of it', () => seen(GONE)],
    ['once it has left', undefined],
  ])('puts nothing back: %s', async (_, until) => {
    await syncMachine(m.ctx, { mode: 'explicit' });
    const { machine } = m.ctx;
    const plan = hub.answers[PLAN] as Answer;
    let leaving: Promise<unknown> = Promise.resolve();
    hub.answers[PLAN] = async (...asked) => {
      await (until ?? (() => leaving))();
      return plan(...asked);
    };
    const syncing = syncMachine(await m.reopen(), { mode: 'explicit' }).catch((thrown: unknown) => thrown);
    if (until !== undefined) {
      hub.answers[GONE] = async (_request, response) => {
        await syncing;
        json(response, { ok: true });
      };
    }
    await seen(PLAN);
    leaving = leaveHub(await m.reopen());
    expect(await syncing).toMatchObject({ code: 'NOT_JOINED' });
    await leaving;
    expect([existsSync(machine.paths.root), await left()]).toEqual([false, []]);
    await expect(leaveHub(await m.reopen())).rejects.toMatchObject({ code: 'NOT_JOINED' });
  });
});

it('leaving takes also what a lock left behind on a machine that is no member', async () => {
  await leaveHub(m.ctx);
  await withLock(m.ctx.machine, 'sync', async () => undefined);
  expect(existsSync(m.ctx.machine.paths.root)).toBe(true);
  expect(await leaveHub(await m.reopen())).toMatchObject({ hub: null, warnings: [] });
  expect(existsSync(m.ctx.machine.paths.root)).toBe(false);
});
