// A journal that is damaged, torn or of a newer program.
import { existsSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { runDoctor } from '../../server/src/client/doctor/doctor.ts';
import { leaveHub } from '../../server/src/client/join/leave.ts';
import { machineStatus } from '../../server/src/client/status.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { serve, version } from '../cli/scripted-hub.ts';
import { hub, m, scriptedPair } from '../cli/scripted-pair.ts';
import { alphaIn, command, hooks, left, resultOf } from './broken-machine.ts';

scriptedPair();

describe.each(['native', 'loose'] as const)('in the layout %s', (layout) => {
  alphaIn(layout);

  it.each(['no json', '{"format":0}', 'null', '[1]', '{"format":2,"prev":1,"next":{}}'])(
    'a journal that is damaged (%j) is put aside, and the machine goes on',
    async (text) => {
      const { paths } = m.ctx.machine;
      // A change to 1.1.0 came as far as its commit; the receipts do not know of it yet.
      const receipts = await readFile(paths.receipts);
      serve(hub, [version('alpha', '1.1.0', { ...command('two'), 'hooks/hooks.json': hooks, run: '#!/bin/sh\n' })], {
        counter: 1000,
        etag: '"1000"',
      });
      await syncMachine(m.ctx, { mode: 'explicit' });
      await writeFile(paths.receipts, receipts);
      await writeFile(paths.journal, text);
      const damaged = expect.objectContaining({ code: 'IO_ERROR', hint: expect.stringContaining('hv doctor --fix') });
      await expect(syncMachine(m.ctx, { mode: 'explicit' })).rejects.toEqual(damaged);
      expect(await resultOf(m.ctx, 'journal')).toBe('fail');
      const { fixed, failed } = await runDoctor(m.ctx, { fix: true });
      expect(failed).toEqual([]);
      const aside = /lies in (\S.*\.json)/.exec(fixed[0] ?? '')?.[1] ?? '';
      expect(await readFile(aside, 'utf8')).toBe(text);
      expect([await resultOf(m.ctx, 'journal'), await resultOf(m.ctx, 'plugins')]).toEqual(['ok', 'ok']);
      expect(await machineStatus(m.ctx)).toMatchObject({
        in_step: true,
        plugins: [{ name: 'alpha', version: '1.1.0', state: 'verified' }],
      });
      await leaveHub(m.ctx);
      expect(await left()).toEqual([]);
    },
  );

  describe('a damaged journal of a change that the receipts do not know of', () => {
    const { SessionStart } = JSON.parse(hooks).hooks;
    const more = JSON.stringify({ hooks: { SessionStart, Stop: SessionStart } });
    let settings: string;

    beforeEach(async () => {
      const { paths } = m.ctx.machine;
      const receipts = await readFile(paths.receipts);
      const files = { ...command('two'), 'hooks/hooks.json': more, run: '#!/bin/sh\n' };
      const beta = version('beta', '1.0.0', { 'commands/b.md': 'b' });
      serve(hub, [version('alpha', '1.1.0', files), beta], { counter: 1000, etag: '"1000"' });
      await syncMachine(m.ctx, { mode: 'explicit' });
      settings = await readFile(paths.settings, 'utf8');
      await writeFile(paths.receipts, receipts);
      await writeFile(paths.journal, 'no json');
    });
    /** Of a settings.json that the same loss of power tore. */
    const torn = () => writeFile(m.ctx.machine.paths.settings, settings.slice(0, -3));
    const inStep = async () => {
      expect(await readdir(m.ctx.machine.paths.root)).not.toContain('journal.json');
      expect(await machineStatus(m.ctx)).toMatchObject({
        in_step: true,
        plugins: [
          { name: 'alpha', version: '1.1.0', state: 'verified' },
          { name: 'beta', version: '1.0.0', state: 'verified' },
        ],
      });
    };

    it('stays until what it was about is found out: a run that failed can be done again', async () => {
      await torn();
      const { fixed, failed } = await runDoctor(m.ctx, { fix: true });
      expect([fixed, failed[0]?.message]).toEqual([
        [],
        expect.stringContaining('could not be found out: SETTINGS_INVALID'),
      ]);
      expect(await resultOf(m.ctx, 'journal')).toBe('fail');
      await writeFile(m.ctx.machine.paths.settings, settings);
      const again = await runDoctor(m.ctx, { fix: true });
      expect([again.failed, again.fixed.length]).toEqual([[], 2]);
      await inStep();
    });

    it('goes alone where an earlier run came as far as the receipts', async () => {
      await runDoctor(m.ctx, { fix: true });
      const receipts = await readFile(m.ctx.machine.paths.receipts);
      await writeFile(m.ctx.machine.paths.journal, 'no json');
      const { fixed, failed } = await runDoctor(m.ctx, { fix: true });
      expect([failed, fixed]).toEqual([[], [expect.stringContaining('journal.json was damaged')]]);
      expect(await readFile(m.ctx.machine.paths.receipts)).toEqual(receipts);
      await inStep();
    });

    it('leaving takes all of ours, also after a first try that failed', async () => {
      await torn();
      await expect(leaveHub(m.ctx)).rejects.toMatchObject({ code: 'SETTINGS_INVALID' });
      await writeFile(m.ctx.machine.paths.settings, settings);
      await leaveHub(await m.reopen());
      expect([await left(), existsSync(m.ctx.machine.paths.settings)]).toEqual([[], false]);
    });

    it('does not hide that the receipts are lost too', async () => {
      await rm(m.ctx.machine.paths.receipts);
      const { fixed, failed } = await runDoctor(m.ctx, { fix: true });
      expect([failed, fixed.join()]).toEqual([
        [],
        expect.stringContaining('receipts.json was gone; alpha, beta stay as they are'),
      ]);
      await inStep();
    });
  });

  it('a journal whose beginning is all that the power left is none, and one of a newer program is left alone', async () => {
    const { paths } = m.ctx.machine;
    for (const torn of ['', '{"for', '{"format":2,"pha']) {
      await writeFile(paths.journal, torn);
      expect(await resultOf(m.ctx, 'journal')).toBe('ok');
      expect((await syncMachine(m.ctx, { mode: 'explicit' })).problems).toEqual([]);
    }
    await writeFile(paths.journal, '{"format":99}');
    expect(await resultOf(m.ctx, 'journal')).toBe('fail');
    const { failed } = await runDoctor(m.ctx, { fix: true });
    expect(failed.map((f) => f.message).join()).toContain('FORMAT_UNSUPPORTED');
    expect(await readFile(paths.journal, 'utf8')).toBe('{"format":99}');
  });
});
