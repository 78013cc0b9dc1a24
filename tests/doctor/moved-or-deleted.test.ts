// What somebody moved, deleted or put back from an old backup is named by doctor, and mended.
import { existsSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openClient } from '../../server/src/client/context.ts';
import { runDoctor } from '../../server/src/client/doctor/doctor.ts';
import { machineStatus } from '../../server/src/client/status.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { m, scriptedPair } from '../cli/scripted-pair.ts';
import { alphaIn, resultOf } from './broken-machine.ts';

scriptedPair();

describe.each(['native', 'loose'] as const)('in the layout %s', (layout) => {
  alphaIn(layout);

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
    expect(await Object.keys((await readReceipts(m.ctx.machine)).plugins)).toEqual(['alpha']);
    expect((await machineStatus(m.ctx)).plugins[0]).toMatchObject({ name: 'alpha', state: 'verified' });
    expect([await resultOf(m.ctx, 'keys'), await resultOf(m.ctx, 'plugins')]).toEqual(['ok', 'ok']);
    const { hooks: groups } = await JSON.parse(await readFile(m.ctx.machine.paths.settings, 'utf8'));
    expect(groups?.SessionStart ?? []).toHaveLength(layout === 'loose' ? 1 : 0);
    expect(await readFile(join(m.home, 'mine'), 'utf8')).toBe('mine');
  });

  it('links that are gone are made again by doctor --fix, and what a person put there is left alone', async () => {
    const link = join(m.ctx.machine.paths.pluginsDir, 'alpha');
    await rm(link);
    expect(await resultOf(m.ctx, 'links')).toBe('warn');
    expect((await runDoctor(m.ctx, { fix: true })).fixed).toEqual(['links are back: alpha']);
    expect([await resultOf(m.ctx, 'links'), existsSync(join(link, 'commands/a.md'))]).toEqual(['ok', true]);
    expect((await runDoctor(m.ctx, { fix: true })).fixed).toEqual([]);
    await rm(link);
    await writeFile(link, 'mine');
    expect((await runDoctor(m.ctx, { fix: true })).fixed).toEqual([]);
    expect(await readFile(link, 'utf8')).toBe('mine');
  });

  it('a plan that was deleted or torn is named as that, and mended', async () => {
    for (const spoil of [(path: string) => rm(path), (path: string) => writeFile(path, '{"pay')]) {
      await spoil(m.ctx.machine.paths.plan);
      const { checks } = await runDoctor(await m.reopen());
      expect(checks.filter((c) => c.result !== 'ok' && c.message.includes('plan.json'))).toMatchObject([
        { check: 'plan', result: 'warn' },
      ]);
      expect(checks.find((c) => c.check === 'plugins')).toMatchObject({ result: 'ok' });
      await runDoctor(m.ctx, { fix: true });
      expect(await resultOf(await m.reopen(), 'plan')).toBe('ok');
    }
  });

  it('a plan of a hub that gives it no etag is no old one, and is named where it is gone', async () => {
    await updateConfig(m.ctx.machine, (raw) => ({ ...raw, plan: { ...Object(raw.plan), etag: '"another"' } }));
    expect(await resultOf(await m.reopen(), 'plan')).toBe('warn');
    await updateConfig(m.ctx.machine, (raw) => ({ ...raw, plan: { ...Object(raw.plan), etag: '' } }));
    expect(await resultOf(await m.reopen(), 'plan')).toBe('ok');
    await rm(m.ctx.machine.paths.plan);
    expect(await resultOf(await m.reopen(), 'plan')).toBe('warn');
  });

  it('an old backup of ~/.claude is named and mended', async () => {
    await writeFile(m.ctx.machine.paths.settings, '{"model":"opus"}');
    await rm(m.ctx.machine.paths.installedPlugins, { force: true });
    const check = layout === 'native' ? 'marketplace' : 'keys';
    expect(await resultOf(m.ctx, check)).toBe('fail');
    await runDoctor(m.ctx, { fix: true });
    expect(await resultOf(m.ctx, check)).toBe('ok');
    expect(await JSON.parse(await readFile(m.ctx.machine.paths.settings, 'utf8'))).toMatchObject({ model: 'opus' });
    expect((await machineStatus(m.ctx)).plugins[0]).toMatchObject({ name: 'alpha', state: 'verified' });
  });
});
