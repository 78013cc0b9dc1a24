import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ClientContext, openClient } from '../../server/src/client/context.ts';
import { runDoctor } from '../../server/src/client/doctor/doctor.ts';
import { removePlugin } from '../../server/src/client/remove.ts';
import { machineStatus } from '../../server/src/client/status.ts';
import { syncMachine } from '../../server/src/client/sync.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { withLock } from '../../server/src/machine/lock.ts';
import { putAside } from '../../server/src/machine/moved-away.ts';
import { readReceipts } from '../../server/src/machine/receipts.ts';
import { joinedMachine, type ScriptedHub, scriptedHub, serve, version } from './scripted-hub.ts';

const command = (text: string) => ({ 'commands/a.md': `---\ndescription: a\n---\n${text}` });
const needs = (name: string) => ({ dependencies: [{ name, range: '^1.0.0', kind: 'required' as const }] });

let hub: ScriptedHub;
let m: Awaited<ReturnType<typeof joinedMachine>>;

beforeEach(async () => {
  hub = await scriptedHub();
  m = await joinedMachine(hub);
});
afterEach(async () => {
  await hub.close();
  await m.remove();
});

const installed = async (ctx: ClientContext): Promise<string[]> =>
  Object.keys((await readReceipts(ctx.machine)).plugins).sort();
const settingsOf = async (ctx: ClientContext) => JSON.parse(await readFile(ctx.machine.paths.settings, 'utf8'));
const resultOf = async (ctx: ClientContext, check: string): Promise<string | undefined> =>
  (await runDoctor(ctx)).checks.find((c) => c.check === check)?.result;

describe('what a removed plugin needed', () => {
  const app = version('app', '1.0.0', command('app'), { entry: { origin: 'explicit', ...needs('lib') } });
  const lib = (origin: 'dependency' | 'explicit') =>
    version('lib', '1.0.0', command('lib'), { entry: { origin, requiredBy: ['app'], ...needs('base') } });
  const base = version('base', '1.0.0', command('base'), { entry: { origin: 'dependency', requiredBy: ['lib'] } });

  it('goes with it, and what that needed too', async () => {
    serve(hub, [app, lib('dependency'), base]);
    await syncMachine(m.ctx, { mode: 'explicit' });
    await expect(removePlugin(m.ctx, 'lib')).rejects.toEqual(expect.objectContaining({ code: 'DEPENDENT_INSTALLED' }));
    await hub.close();
    expect((await removePlugin(m.ctx, 'app')).removed.sort()).toEqual(['app', 'base', 'lib']);
    expect(await installed(m.ctx)).toEqual([]);
  });

  it('stays where somebody installed it by hand, with what it needs', async () => {
    serve(hub, [app, lib('explicit'), base]);
    await syncMachine(m.ctx, { mode: 'explicit' });
    await hub.close();
    expect((await removePlugin(m.ctx, 'app')).removed).toEqual(['app']);
    expect(await installed(m.ctx)).toEqual(['base', 'lib']);
  });

  it('stays where another plugin needs it', async () => {
    const other = version('other', '1.0.0', command('o'), { entry: { origin: 'explicit', ...needs('base') } });
    serve(hub, [app, lib('dependency'), base, other]);
    await syncMachine(m.ctx, { mode: 'explicit' });
    await hub.close();
    expect((await removePlugin(m.ctx, 'app')).removed.sort()).toEqual(['app', 'lib']);
    expect(await installed(m.ctx)).toEqual(['base', 'other']);
  });
});

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

describe.each(['native', 'loose'] as const)('in the layout %s', (layout) => {
  const hooks = JSON.stringify({
    hooks: { SessionStart: [{ hooks: [{ type: 'command', command: '$' + '{CLAUDE_PLUGIN_ROOT}/run' }] }] },
  });
  const alpha = version('alpha', '1.0.0', { ...command('one'), 'hooks/hooks.json': hooks, run: '#!/bin/sh\n' });

  beforeEach(async () => {
    await updateConfig(m.ctx.machine, (raw) => ({ ...raw, plugins: { layout, machine_group_auto_install: true } }));
    serve(hub, [alpha]);
    m.ctx = await m.reopen();
    await syncMachine(m.ctx, { mode: 'explicit' });
  });

  it('a HOME that was moved is named by doctor, and mended', async () => {
    const elsewhere = `${m.home} moved ü`;
    await rename(m.home, elsewhere);
    try {
      const ctx = await openClient({ ...m.ctx.env, home: elsewhere });
      expect(await resultOf(ctx, 'keys')).toBe('fail');
      const { fixed } = await runDoctor(ctx, { fix: true });
      expect(fixed.length).toBeGreaterThan(0);
      expect(await resultOf(ctx, 'keys')).toBe('ok');
      const text = await readFile(ctx.machine.paths.settings, 'utf8');
      expect(text).toContain(elsewhere);
      expect(text.replaceAll(elsewhere, '')).not.toContain(m.home);
      expect((await machineStatus(ctx)).plugins[0]).toMatchObject({ name: 'alpha', state: 'verified' });
    } finally {
      await rename(elsewhere, m.home);
    }
  });

  it('our folder, deleted whole, comes back by one doctor --fix', async () => {
    await writeFile(join(m.home, 'mine'), 'mine');
    await rm(m.ctx.machine.paths.root, { recursive: true });
    expect(await resultOf(m.ctx, 'plugins')).toBe('fail');
    await runDoctor(m.ctx, { fix: true });
    expect(await installed(m.ctx)).toEqual(['alpha']);
    expect((await machineStatus(m.ctx)).plugins[0]).toMatchObject({ name: 'alpha', state: 'verified' });
    expect([await resultOf(m.ctx, 'keys'), await resultOf(m.ctx, 'plugins')]).toEqual(['ok', 'ok']);
    const { hooks: groups } = await settingsOf(m.ctx);
    expect(groups?.SessionStart ?? []).toHaveLength(layout === 'loose' ? 1 : 0);
    expect(await readFile(join(m.home, 'mine'), 'utf8')).toBe('mine');
  });

  it('an old backup of ~/.claude is named and mended', async () => {
    await writeFile(m.ctx.machine.paths.settings, '{"model":"opus"}');
    await rm(m.ctx.machine.paths.installedPlugins, { force: true });
    const check = layout === 'native' ? 'marketplace' : 'keys';
    expect(await resultOf(m.ctx, check)).toBe('fail');
    await runDoctor(m.ctx, { fix: true });
    expect(await resultOf(m.ctx, check)).toBe('ok');
    expect(await settingsOf(m.ctx)).toMatchObject({ model: 'opus' });
    expect((await machineStatus(m.ctx)).plugins[0]).toMatchObject({ name: 'alpha', state: 'verified' });
  });
});
