// Whatever became of our own files: `hv doctor` says it once, and `--fix` mends it or says why it cannot.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DoctorCheck, runDoctor } from '../../server/src/client/doctor/doctor.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import type { MachinePaths } from '../../server/src/machine/paths.ts';
import { withLock } from '../../server/src/machine/processes/lock.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { joinedMachine, type ScriptedHub, scriptedHub, serve, version } from '../cli/scripted-hub.ts';

const team = version('team', '1.0.0', {
  '.claude-plugin/plugin.json': JSON.stringify({ name: 'team', version: '1.0.0' }),
  'commands/a.md': '---\ndescription: a\n---\none',
});

let hub: ScriptedHub;
let m: Awaited<ReturnType<typeof joinedMachine>>;
let paths: MachinePaths;
beforeEach(async () => {
  hub = await scriptedHub();
  m = await joinedMachine(hub);
  paths = m.ctx.machine.paths;
  serve(hub, [team]);
  await syncMachine(m.ctx, { mode: 'explicit' });
});
afterEach(async () => {
  await hub.close();
  await m.remove();
});

const installed = async () => Object.keys((await readReceipts(m.ctx.machine)).plugins);
/** What fails of the looks at this machine; the hub here answers plans and transfers alone. */
const bad = async ({ checks } = { checks: [] as DoctorCheck[] }) =>
  (checks.length > 0 ? checks : (await runDoctor(m.ctx)).checks).filter(
    (c) => c.result === 'fail' && !['hub', 'token', 'clock'].includes(c.check),
  );
const fix = () => runDoctor(m.ctx, { fix: true });

describe('what lies where something else should', () => {
  const FILES = ['receipts', 'journal', 'plan', 'audit', 'marketplace', 'made', 'trust'] as const;
  const FOLDERS = ['blobs', 'records', 'versions', 'backups', 'spool', 'overlays', 'lock', 'configLock'] as const;

  it.each([...FILES, ...FOLDERS])('%s is put aside, with what is in it', async (name) => {
    const path = paths[name];
    await rm(path, { recursive: true, force: true });
    await mkdir(dirname(path), { recursive: true });
    const folder = (FILES as readonly string[]).includes(name);
    if (folder) await mkdir(path);
    await writeFile(folder ? join(path, 'mine') : path, 'precious');

    const found = (await bad()).find((c) => c.check === 'places');
    expect(found?.message).toContain(`${path} is a ${folder ? 'folder' : 'file'}`);
    const done = await fix();
    expect(done.failed).toEqual([]);
    expect(await bad(done)).toEqual([]);
    const [aside] = (await readdir(dirname(path))).filter((entry) => entry.includes('.aside-'));
    expect(done.fixed.join()).toContain(aside);
    expect(await readFile(join(dirname(path), aside ?? '', folder ? 'mine' : ''), 'utf8')).toBe('precious');
    expect(await installed()).toEqual(['team']);
  });

  it('nothing is said or moved where all is in place', async () => {
    expect((await runDoctor(m.ctx)).checks.find((c) => c.check === 'places')).toMatchObject({ result: 'ok' });
    await fix();
    expect((await readdir(paths.root)).filter((entry) => entry.includes('.aside-'))).toEqual([]);
  });
});

describe('receipts', () => {
  it('that are damaged are told once', async () => {
    await writeFile(paths.receipts, '{"form');
    const failed = await bad();
    expect(failed.map((c) => c.message).filter((text) => text.includes('is damaged'))).toHaveLength(1);
    const { checks } = await runDoctor(m.ctx);
    expect(checks.filter((c) => c.message.startsWith('not known')).length).toBeGreaterThan(3);
  });

  it.each([
    ['without a layout', '{"format":1}'],
    ['whose plugins are none', '{"format":1,"layout":"native","plugins":{"team":1}}'],
    ['whose plugins are a list', '{"format":1,"layout":"native","plugins":[]}'],
  ])('%s are damaged, and found out again', async (_what, text) => {
    await writeFile(paths.receipts, text);
    await expect(syncMachine(m.ctx, { mode: 'explicit' })).rejects.toMatchObject({
      code: 'IO_ERROR',
      message: expect.stringContaining('is damaged'),
    });
    expect(await bad(await fix())).toEqual([]);
    expect(await installed()).toEqual(['team']);
  });
});

describe('what --fix cannot do', () => {
  it('with the journal of a newer program: says so, and looks at the rest', async () => {
    await writeFile(paths.journal, '{"format":99}');
    const { failed, checks } = await fix();
    expect(failed).toEqual([
      { message: expect.stringContaining('FORMAT_UNSUPPORTED'), fix: expect.stringContaining('Update hAIveMind') },
    ]);
    expect(checks.find((c) => c.check === 'settings')).toMatchObject({ result: 'ok' });
  });

  it('while somebody else changes this machine: says who', async () => {
    await withLock(m.ctx.machine, 'a long sync', async () => {
      const { failed, ok } = await runDoctor(m.ctx, { fix: true });
      expect(ok).toBe(false);
      expect(failed).toEqual([
        { message: expect.stringMatching(/LOCKED.*a long sync/), fix: expect.stringContaining('Wait') },
      ]);
    });
  });
});

it('a history that was cut or emptied is named', async () => {
  const look = async () => (await runDoctor(m.ctx)).checks.find((c) => c.check === 'history');
  expect(await look()).toMatchObject({ result: 'ok' });
  await writeFile(paths.audit, '');
  expect(await look()).toMatchObject({ result: 'warn', fix: expect.stringContaining('hv audit --local --verify') });
});

it.each([
  ['of a newer program', '{"format":99}', 'FORMAT_UNSUPPORTED', 'Update hAIveMind'],
  ['that is damaged', '{"format":1', 'CONFIG_INVALID', 'pinned anew'],
])('what is trusted %s is named, and --fix leaves the keys alone', async (_what, text, code, hint) => {
  await writeFile(paths.trust, text);
  const found = async () => (await bad()).find((c) => c.check === 'trust');
  expect(await found()).toMatchObject({ message: expect.stringContaining(code), fix: expect.stringContaining(hint) });
  await fix();
  expect(await found()).toBeDefined();
  expect(await readFile(paths.trust, 'utf8')).toBe(text);
});
