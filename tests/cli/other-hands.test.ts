import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { type ClientContext, openClient } from '../../server/src/client/context.ts';
import { runDoctor } from '../../server/src/client/doctor/doctor.ts';
import { repairPlugin } from '../../server/src/client/install/edits.ts';
import { removePlugin } from '../../server/src/client/install/remove.ts';
import { leaveHub } from '../../server/src/client/join/index.ts';
import { machineStatus } from '../../server/src/client/status.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { putAside } from '../../server/src/machine/moved-away.ts';
import { collectVersions } from '../../server/src/machine/processes/leases.ts';
import { withLock } from '../../server/src/machine/processes/lock.ts';
import { readReceipts, updateReceipts } from '../../server/src/machine/receipts/index.ts';
import { type Answer, json, serve, transfers, version } from './scripted-hub.ts';
import { hub, m, scriptedPair } from './scripted-pair.ts';

const command = (text: string) => ({ 'commands/a.md': `---\ndescription: a\n---\n${text}` });
const needs = (name: string) => ({ dependencies: [{ name, range: '^1.0.0', kind: 'required' as const }] });

scriptedPair();

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

/** What lies below ~/.claude beside the settings, links included. */
async function left(): Promise<string[]> {
  const entries = await readdir(m.ctx.machine.paths.claudeDir, { recursive: true, withFileTypes: true }).catch(
    () => [],
  );
  return entries
    .filter((entry) => !entry.isDirectory() && !/^(settings|installed_plugins)\.json$/.test(entry.name))
    .map(({ name }) => name);
}

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

it('a repair that failed is not called one', async () => {
  await hub.close();
  const { ok, fixed, failed } = await runDoctor(m.ctx, { fix: true });
  expect([ok, fixed]).toEqual([false, []]);
  expect(failed).toEqual([
    { message: expect.stringContaining('the sync failed: HUB_UNREACHABLE'), fix: expect.any(String) },
  ]);
});

it('copies of an earlier program that cannot be laid out anew are said once, and again to whoever asks', async () => {
  await updateConfig(m.ctx.machine, (raw) => ({ ...raw, plugins: { layout: 'loose' } }));
  serve(hub, [version('alpha', '1.0.0', command('one'))]);
  m.ctx = await m.reopen();
  await syncMachine(m.ctx, { mode: 'explicit', byPolicy: true, always: ['alpha'] });
  await updateReceipts(m.ctx.machine, ({ plugins: { alpha } }) => {
    if (alpha !== undefined) alpha.loose = { files: [], hooks: [], servers: [] };
  });
  const warnings = async (mode: 'agent' | 'explicit') => (await syncMachine(m.ctx, { mode })).warnings;
  const stays = [expect.stringContaining('alpha stays as an earlier program laid it out: NAME_CLASH')];
  expect([await warnings('agent'), await warnings('agent'), await warnings('explicit')]).toEqual([stays, [], stays]);
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

  it('a journal whose beginning is all that the power left is none, and one of a newer program is left alone', async () => {
    const { paths } = m.ctx.machine;
    for (const torn of ['', '{"for', '{"format":2,"pha']) {
      await writeFile(paths.journal, torn);
      expect(await resultOf(m.ctx, 'journal')).toBe('ok');
      expect((await syncMachine(m.ctx, { mode: 'explicit' })).problems).toEqual([]);
    }
    await writeFile(paths.journal, '{"format":99}');
    expect(await resultOf(m.ctx, 'journal')).toBe('fail');
    await expect(runDoctor(m.ctx, { fix: true })).rejects.toMatchObject({ code: 'FORMAT_UNSUPPORTED' });
    expect(await readFile(paths.journal, 'utf8')).toBe('{"format":99}');
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
    expect(await settingsOf(m.ctx)).toMatchObject({ model: 'opus' });
    expect((await machineStatus(m.ctx)).plugins[0]).toMatchObject({ name: 'alpha', state: 'verified' });
  });
});
