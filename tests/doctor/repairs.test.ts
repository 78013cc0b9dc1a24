// What a repair brings back, and what it says where it could not.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runDoctor } from '../../server/src/client/doctor/doctor.ts';
import { repairPlugin } from '../../server/src/client/install/edits.ts';
import { machineStatus } from '../../server/src/client/status.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { putAside } from '../../server/src/machine/moved-away.ts';
import { withLock } from '../../server/src/machine/processes/lock.ts';
import { serve, version } from '../cli/scripted-hub.ts';
import { hub, m, scriptedPair } from '../cli/scripted-pair.ts';
import { command, left, resultOf } from './broken-machine.ts';

scriptedPair();

it('a migration that died after it put things aside is named by doctor, and finished', async () => {
  serve(hub, [version('team', '1.0.0', command('one'))]);
  await syncMachine(m.ctx, { mode: 'explicit' });
  const mine = join(m.ctx.machine.paths.claudeDir, 'commands', 'a.md');
  await mkdir(join(mine, '..'), { recursive: true });
  await writeFile(mine, 'mine');
  expect(await resultOf(m.ctx, 'migration')).toBe('ok');
  const files = [{ path: 'commands/a.md', bytes: Buffer.from('mine'), executable: false }];
  await withLock(m.ctx.machine, 'migrate', () => putAside(m.ctx.machine, 'team', { files, hooks: [], servers: [] }));
  expect(await resultOf(m.ctx, 'migration')).toBe('warn');

  expect((await runDoctor(m.ctx, { fix: true })).fixed).toContain('took away what team replaced');
  await expect(readFile(mine, 'utf8')).rejects.toEqual(expect.objectContaining({ code: 'ENOENT' }));
  expect(await resultOf(m.ctx, 'migration')).toBe('ok');
});

it('bare commands that were deleted are named by doctor and status, and brought back by repair', async () => {
  const manifest = { name: 'alpha', version: '1.0.0', haivemind: { global_commands: true } };
  serve(hub, [
    version('alpha', '1.0.0', { '.claude-plugin/plugin.json': JSON.stringify(manifest), ...command('one') }),
  ]);
  await syncMachine(m.ctx, { mode: 'explicit' });
  expect(await resultOf(m.ctx, 'keys')).toBe('ok');
  await rm(m.ctx.machine.paths.commandsDir, { recursive: true });
  const { checks, fixed } = await runDoctor(m.ctx, { fix: true });
  expect(fixed).toEqual([]);
  expect(checks.find(({ check }) => check === 'keys')).toMatchObject({
    result: 'warn',
    message: 'Taken out by hand: alpha command /a',
    fix: expect.stringContaining('hv repair alpha'),
  });
  expect((await machineStatus(m.ctx)).plugins[0]).toMatchObject({ state: 'edited', missing: ['command /a'] });
  expect(await repairPlugin(m.ctx, 'alpha')).toMatchObject({ paths: ['command /a'], warnings: [] });
  expect([await left(), await resultOf(m.ctx, 'keys')]).toEqual([expect.arrayContaining(['a.md']), 'ok']);
  await rm(m.ctx.machine.paths.commandsDir, { recursive: true });
  await syncMachine(m.ctx, { mode: 'explicit', force: true });
  expect(await readFile(join(m.ctx.machine.paths.commandsDir, 'a.md'), 'utf8')).toContain('one');
});

it('a repair that failed is not called one', async () => {
  await hub.close();
  const { ok, fixed, failed } = await runDoctor(m.ctx, { fix: true });
  expect([ok, fixed]).toEqual([false, []]);
  expect(failed).toEqual([
    { message: expect.stringContaining('the sync failed: HUB_UNREACHABLE'), fix: expect.any(String) },
  ]);
});

it('what the sync of a repair refused is told as what could not be done', async () => {
  await updateConfig(m.ctx.machine, (raw) => ({
    ...raw,
    plugins: { layout: 'loose', machine_group_auto_install: true },
  }));
  serve(hub, [version('alpha', '1.0.0', command('one'))]);
  m.ctx = await m.reopen();
  const mine = join(m.ctx.machine.paths.commandsDir, 'a.md');
  await mkdir(join(mine, '..'), { recursive: true });
  await writeFile(mine, 'mine');
  const { ok, fixed, failed } = await runDoctor(m.ctx, { fix: true });
  expect([ok, fixed]).toEqual([false, []]);
  expect(failed).toEqual([
    {
      message: expect.stringContaining('alpha was not installed: NAME_CLASH'),
      fix: expect.stringContaining('name_clash'),
    },
  ]);
  expect(await readFile(mine, 'utf8')).toBe('mine');
});
