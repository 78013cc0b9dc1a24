// A machine that leaves has nothing of ours left, whatever else is under way.
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { openClient } from '../../server/src/client/context.ts';
import { runDoctor } from '../../server/src/client/doctor/doctor.ts';
import { leaveHub } from '../../server/src/client/join/leave.ts';
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

describe('a second folder of Claude Code, named by CLAUDE_CONFIG_DIR', () => {
  const second = () => join(m.home, 'zweiter Ordner');
  const open = (claudeConfigDir?: string) => openClient({ ...m.ctx.env, claudeConfigDir });
  const folders = async () => (await runDoctor(await open())).checks.find((c) => c.check === 'folders');
  beforeEach(async () => {
    serve(hub, [version('team', '1.0.0', command('one'))]);
    hub.answers['DELETE /api/machines/me'] = (_, response) => json(response, { ok: true });
    await syncMachine(await open(), { mode: 'explicit' });
    expect(await folders()).toMatchObject({ result: 'ok' });
    await mkdir(second());
    await writeFile(join(second(), 'settings.json'), '{"mine":1}');
    await syncMachine(await open(second()), { mode: 'explicit' });
  });
  const ours = () => [m.ctx.machine.paths.root, join(second(), 'plugins')].filter((path) => existsSync(path));

  it('is told by the doctor', async () => {
    expect(await folders()).toMatchObject({ result: 'warn', message: expect.stringContaining(second()) });
  });

  it.each([
    ['the first', undefined],
    ['the second', second],
  ])('is left with the other, from %s', async (_, from) => {
    expect(ours()).toHaveLength(2);
    const { warnings } = await leaveHub(await open(from?.()));
    expect(warnings).toEqual([]);
    expect(ours()).toEqual([]);
    expect(await readFile(join(second(), 'settings.json'), 'utf8')).toBe('{"mine":1}');
  });

  it('of which an earlier try took all but the lock is left too', async () => {
    const { machine } = await open(second());
    await rm(machine.paths.root, { recursive: true });
    await withLock(machine, 'leave', async () => undefined);
    await leaveHub(await open());
    expect(existsSync(machine.paths.root)).toBe(false);
  });

  it.each([
    ['the first', undefined],
    ['the second', second],
  ])('that cannot be left stays, and is named with what leaves it; afterwards %s does', async (_, from) => {
    await writeFile(join(second(), 'settings.json'), '{"mine":');
    // Also where nothing but that is left.
    for (const hub of [expect.any(String), null]) {
      const { warnings, ...told } = await leaveHub(await open());
      expect(told).toMatchObject({ hub, stay: [second()] });
      expect(warnings).toEqual([
        expect.stringMatching(/^SETTINGS_INVALID: .*CLAUDE_CONFIG_DIR='.*zweiter Ordner' hv leave/),
      ]);
      expect(ours()).toEqual([join(second(), 'plugins')]);
    }
    await writeFile(join(second(), 'settings.json'), '{"mine":1}');
    expect(await leaveHub(await open(from?.()))).toMatchObject({ hub: null, stay: [], warnings: [] });
    expect(ours()).toEqual([]);
    expect(await readFile(m.ctx.machine.paths.config, 'utf8')).not.toContain('claude_folders');
  });
});
