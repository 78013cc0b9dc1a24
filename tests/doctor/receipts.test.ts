// receipts.json that was lost or damaged: what is installed is found again, edits stay, and leaving takes all of ours.
import { existsSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { runDoctor } from '../../server/src/client/doctor/doctor.ts';
import { leaveHub } from '../../server/src/client/join/leave.ts';
import { machineStatus } from '../../server/src/client/status.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { collectVersions } from '../../server/src/machine/processes/leases.ts';
import { withLock } from '../../server/src/machine/processes/lock.ts';
import { serve, transfers, version } from '../cli/scripted-hub.ts';
import { hub, m, scriptedPair } from '../cli/scripted-pair.ts';
import { alphaIn, command, left, resultOf } from './broken-machine.ts';

scriptedPair();

describe('receipts that were lost', () => {
  const bare = (v: string) =>
    version('alpha', v, {
      '.claude-plugin/plugin.json': JSON.stringify({ name: 'alpha', version: v, haivemind: { global_commands: true } }),
      ...command(`run ${'$'}{CLAUDE_PLUGIN_ROOT}`),
      'other.md': v,
    });
  const mine = () => join(m.ctx.machine.paths.pluginsDir, 'alpha', 'other.md');
  const kept = async (): Promise<string[]> => {
    const edits = join(m.ctx.machine.paths.backups, 'edits');
    return (await readdir(edits, { recursive: true }).catch(() => [])).filter((path) => path.endsWith('other.md'));
  };

  beforeEach(async () => {
    serve(hub, [bare('1.0.0')]);
    await syncMachine(m.ctx, { mode: 'explicit' });
    await writeFile(mine(), 'mine');
  });

  it.each(['deleted', 'damaged'])(
    '%s: edits stay, and are carried over the next update; nothing is fetched again',
    async (how) => {
      const { paths } = m.ctx.machine;
      if (how === 'deleted') await rm(paths.receipts);
      else await writeFile(paths.receipts, '{');
      const before = transfers(hub).length;
      if (how === 'damaged') expect((await runDoctor(m.ctx, { fix: true })).failed).toEqual([]);
      const { warnings } = await syncMachine(m.ctx, { mode: 'explicit' });
      expect(warnings.join()).not.toContain('PATH_OCCUPIED');
      expect(transfers(hub)).toHaveLength(before);
      expect(await readFile(mine(), 'utf8')).toBe('mine');
      expect((await machineStatus(m.ctx)).plugins[0]).toMatchObject({ state: 'edited', edited: ['other.md'] });
      serve(hub, [bare('2.0.0')], { counter: 2 });
      await syncMachine(m.ctx, { mode: 'explicit' });
      expect((await machineStatus(m.ctx)).plugins[0]).toMatchObject({ version: '2.0.0' });
      expect(await readFile(mine(), 'utf8')).toBe('mine');
      expect(await readFile(join(paths.commandsDir, 'a.md'), 'utf8')).toContain('/alpha/2.0.0-');
      await leaveHub(m.ctx);
      expect(new Set(await left())).toEqual(new Set(['other.md']));
    },
  );

  it('and leaving takes all of ours, but no edit', async () => {
    await rm(m.ctx.machine.paths.receipts);
    expect((await leaveHub(m.ctx)).warnings.join()).toContain('1 file(s)');
    expect(await left()).toEqual(['other.md']);
    expect(await readFile(join(m.ctx.machine.paths.backups, 'edits', (await kept())[0] ?? ''), 'utf8')).toBe('mine');
  });

  it('with the records: what was edited is kept when the old folder goes, and doctor says so', async () => {
    const { paths } = m.ctx.machine;
    await writeFile(paths.receipts, '');
    await rm(paths.records, { recursive: true });
    const { fixed, failed } = await runDoctor(m.ctx, { fix: true });
    expect(failed).toEqual([]);
    expect(fixed.join('\n')).toMatch(/what was edited in versions\/alpha\/1\.0\.0-[0-9a-f]+ cannot be told/);
    expect((await machineStatus(m.ctx)).plugins[0]).toMatchObject({ name: 'alpha', state: 'verified' });
    expect(await kept()).toEqual([]);
    await withLock(m.ctx.machine, 'sync', () => collectVersions(m.ctx.machine, { graceMs: -1 }));
    expect(await kept()).toHaveLength(1);
  });

  it('of a newer program are left alone, and no repair is claimed', async () => {
    const { paths } = m.ctx.machine;
    await writeFile(paths.receipts, '{"format":99}');
    const { ok, fixed, failed } = await runDoctor(m.ctx, { fix: true });
    expect([ok, fixed]).toEqual([false, []]);
    expect(failed.map(({ message }) => message)).toContainEqual(expect.stringContaining('FORMAT_UNSUPPORTED'));
    expect(await readFile(paths.receipts, 'utf8')).toBe('{"format":99}');
  });
});

describe.each(['native', 'loose'] as const)('in the layout %s', (layout) => {
  alphaIn(layout);

  it.each(['{', '', 'null', '[1]'])(
    'receipts that are damaged (%j) are put aside, and what is installed found again',
    async (text) => {
      const { paths } = m.ctx.machine;
      await writeFile(paths.receipts, text);
      const damaged = expect.objectContaining({ code: 'IO_ERROR', hint: expect.stringContaining('hv doctor --fix') });
      await expect(syncMachine(m.ctx, { mode: 'explicit' })).rejects.toEqual(damaged);
      const { fixed, failed } = await runDoctor(m.ctx, { fix: true });
      expect(failed).toEqual([]);
      const aside = /lies in (\S.*\.json);/.exec(fixed[0] ?? '')?.[1] ?? '';
      expect(await readFile(aside, 'utf8')).toBe(text);
      expect((await machineStatus(m.ctx)).plugins).toEqual([
        expect.objectContaining({ name: 'alpha', version: '1.0.0', state: 'verified' }),
      ]);
      await leaveHub(m.ctx);
      expect(await left()).toEqual([]);
    },
  );

  it('receipts that were deleted are named, and doctor --fix claims what it did, no more', async () => {
    await rm(m.ctx.machine.paths.receipts);
    expect(await resultOf(m.ctx, 'plugins')).toBe('fail');
    const { fixed, failed } = await runDoctor(m.ctx, { fix: true });
    expect([await resultOf(m.ctx, 'plugins'), failed]).toEqual(['ok', []]);
    expect(fixed).toEqual([expect.stringContaining('receipts.json was gone; alpha stay as they are')]);
    expect(await syncMachine(m.ctx, { mode: 'explicit' })).toMatchObject({ problems: [], warnings: [] });
    await leaveHub(m.ctx);
    expect(await left()).toEqual([]);
  });

  it('lost receipts and a settings.json of others that is no text keep nobody from leaving', async () => {
    const { paths } = m.ctx.machine;
    const bytes = Buffer.from('{"model":"fran\xe7ais"}', 'latin1');
    await rm(paths.receipts);
    await writeFile(paths.settings, bytes);
    await leaveHub(m.ctx);
    expect([await left(), existsSync(paths.root)]).toEqual([[], false]);
    expect(await readFile(paths.settings)).toEqual(bytes);
  });

  it('but one that names us does, until it is mended', async () => {
    const { paths } = m.ctx.machine;
    const settings = await readFile(paths.settings, 'utf8');
    await rm(paths.receipts);
    await writeFile(paths.settings, Buffer.from(`\ufeff${settings}`, 'utf16le'));
    await expect(leaveHub(m.ctx)).rejects.toMatchObject({ code: 'SETTINGS_INVALID' });
    await writeFile(paths.settings, settings);
    await leaveHub(await m.reopen());
    expect([await left(), existsSync(paths.settings)]).toEqual([[], false]);
  });
});
