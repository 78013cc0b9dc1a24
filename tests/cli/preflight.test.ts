import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ClientContext, openClient } from '../../server/src/client/context.ts';
import { runDoctor } from '../../server/src/client/doctor/doctor.ts';
import { clientVersion } from '../../server/src/client/install/preflight.ts';
import { machineStatus } from '../../server/src/client/status.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { type FilePort, realFilePort } from '../../server/src/machine/files/file-port.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { serve, transfers, version } from './scripted-hub.ts';
import { hub, m, scriptedPair } from './scripted-pair.ts';

const code = (expected: string) => expect.objectContaining({ code: expected });
const a1 = version('alpha', '1.0.0', { 'commands/a.md': '---\ndescription: a\n---\none' });
const a2 = version('alpha', '2.0.0', { 'commands/a.md': '---\ndescription: a\n---\ntwo' });
const b1 = version('beta', '1.0.0', { 'commands/b.md': '---\ndescription: b\n---\nb' });

scriptedPair();

const installed = async (): Promise<string[]> =>
  Object.values((await readReceipts(m.ctx.machine)).plugins).map((p) => `${p.name}@${p.version}`);
const open = (env: Partial<ClientContext['env']>, port?: FilePort): Promise<ClientContext> =>
  openClient({ ...m.ctx.env, ...env }, port === undefined ? {} : { port });

describe("an organisation's managed settings", () => {
  const root = (): string => m.ctx.machine.paths.root;
  const rules: [string, (path: string) => unknown, string | null][] = [
    ['an empty allow list', () => ({ strictKnownMarketplaces: [] }), 'strictKnownMarketplaces'],
    ['the allow list by its other name', () => ({ allowedMarketplaces: [] }), 'allowedMarketplaces'],
    [
      'an allow list of other places',
      () => ({
        strictKnownMarketplaces: [
          { source: 'github', repo: 'a/b' },
          { source: 'directory', path: '/opt/p' },
        ],
      }),
      'strictKnownMarketplaces',
    ],
    [
      'a block list with our folder',
      (path) => ({ blockedMarketplaces: [{ source: 'directory', path }] }),
      'blockedMarketplaces',
    ],
    [
      'a block list with a pattern',
      () => ({ blockedMarketplaces: [{ source: 'pathPattern', pathPattern: 'plugins/' }] }),
      'blockedMarketplaces',
    ],
    ['an allow list with our folder', (path) => ({ strictKnownMarketplaces: [{ source: 'directory', path }] }), null],
    [
      'an allow list with a pattern',
      () => ({ strictKnownMarketplaces: [{ source: 'pathPattern', pathPattern: '\\.haivemind$' }] }),
      null,
    ],
    ['a block list of others', () => ({ blockedMarketplaces: [{ source: 'github', repo: 'a/b' }] }), null],
    ['no word of marketplaces', () => ({ cleanupPeriodDays: 30 }), null],
  ];

  it.each(rules)('%s', async (_, rule, barredBy) => {
    const managedSettings = join(m.home, 'managed');
    await mkdir(join(managedSettings, 'managed-settings.d'), { recursive: true });
    await writeFile(join(managedSettings, 'managed-settings.d/10-plugins.json'), JSON.stringify(rule(root())));
    serve(hub, [a1]);
    const ctx = await open({ managedSettings });
    if (barredBy === null) {
      await syncMachine(ctx, { mode: 'agent' });
      expect(await installed()).toEqual(['alpha@1.0.0']);
      return;
    }
    const refusal = expect.objectContaining({
      code: 'MARKETPLACE_FORBIDDEN',
      message: expect.stringContaining(barredBy),
      hint: expect.stringContaining('loose'),
    });
    await expect(syncMachine(ctx, { mode: 'agent' })).rejects.toEqual(refusal);
    expect(transfers(hub)).toEqual([]);
    expect(await installed()).toEqual([]);
    // What was installed before the rule came is named by doctor.
    await syncMachine(m.ctx, { mode: 'agent' });
    const { checks } = await runDoctor(ctx);
    expect(checks.find((c) => c.check === 'marketplace')).toMatchObject({ result: 'fail' });
    // The other layout is there for such hosts.
    await updateConfig(ctx.machine, (raw) => ({ ...raw, plugins: { layout: 'loose' } }));
    await syncMachine(await open({ managedSettings }), { mode: 'agent' });
    expect(await readFile(join(m.home, '.claude/commands/a.md'), 'utf8')).toContain('one');
  });
});

describe('the client in PATH', () => {
  async function putClient(folder: string, files: Record<string, string>): Promise<string> {
    const bin = join(m.home, 'bin');
    for (const [path, text] of Object.entries({ claude: '#!/bin/sh\n', ...files })) {
      await mkdir(join(m.home, folder), { recursive: true });
      await writeFile(join(m.home, folder, path), text);
    }
    await mkdir(bin, { recursive: true });
    await symlink(join(m.home, folder, 'claude'), join(bin, 'claude'));
    return bin;
  }

  it('is asked for its age where it lies, and one without plugins is refused', async () => {
    serve(hub, [a1]);
    const ctx = await open({ path: await putClient('share/claude/versions/2.0.11', {}) });
    expect(await clientVersion(ctx)).toBe('2.0.11');
    await expect(syncMachine(ctx, { mode: 'agent' })).rejects.toEqual(code('CLIENT_TOO_OLD'));
    expect(transfers(hub)).toEqual([]);
  });

  it('may be any newer one', async () => {
    serve(hub, [a1]);
    const about = JSON.stringify({ name: '@anthropic-ai/claude-code', version: '2.0.12' });
    const ctx = await open({ path: await putClient('lib/claude-code', { 'package.json': about }) });
    expect(await clientVersion(ctx)).toBe('2.0.12');
    await syncMachine(ctx, { mode: 'agent' });
    expect(await installed()).toEqual(['alpha@1.0.0']);
  });

  it('hinders nothing where nothing tells its age', async () => {
    serve(hub, [a1]);
    const ctx = await open({ path: await putClient('opt', { 'package.json': '{"name":"other","version":"0.1.0"}' }) });
    expect(await clientVersion(ctx)).toBeNull();
    await syncMachine(ctx, { mode: 'agent' });
    expect(await installed()).toEqual(['alpha@1.0.0']);
  });
});

it('a settings file that may not be written is told before anything is fetched', async () => {
  serve(hub, [a1]);
  const settings = m.ctx.machine.paths.settings;
  await mkdir(join(settings, '..'), { recursive: true });
  await writeFile(settings, '{}');
  await chmod(settings, 0o444);
  await expect(syncMachine(m.ctx, { mode: 'agent' })).rejects.toEqual(code('READ_ONLY'));
  expect(transfers(hub)).toEqual([]);
});

describe('a tree that does not read back as it was written', () => {
  /** A disk that turns one byte round in what is written below this folder. */
  function spoiling(below: string): FilePort {
    const real = realFilePort();
    return {
      ...real,
      writeFile(path, bytes, options) {
        if (!path.includes(below)) return real.writeFile(path, bytes, options);
        const spoilt = Buffer.from(bytes as Uint8Array);
        spoilt[0] = (spoilt[0] ?? 0) ^ 1;
        return real.writeFile(path, spoilt, options);
      },
    };
  }

  it('never goes live: the rest is installed, and status says why it is not', async () => {
    serve(hub, [a1, b1]);
    const bad = await syncMachine(await open({}, spoiling('versions/alpha')), { mode: 'agent' });
    expect(await installed()).toEqual(['beta@1.0.0']);
    expect(bad.problems).toEqual([expect.objectContaining({ name: 'alpha', code: 'VERIFY_FAILED', where: 'machine' })]);
    const status = await machineStatus(m.ctx);
    expect(status.refused).toEqual([{ digest: a1.entry.digest, reason: expect.stringContaining('VERIFY_FAILED') }]);
    expect(status.plugins.find((p) => p.name === 'alpha')?.notice).toContain('does not read back');
    // Not again by itself, but when somebody asks.
    await syncMachine(await m.reopen(), { mode: 'agent' });
    expect(await installed()).toEqual(['beta@1.0.0']);
    await syncMachine(await m.reopen(), { mode: 'explicit' });
    expect((await installed()).sort()).toEqual(['alpha@1.0.0', 'beta@1.0.0']);
    expect((await machineStatus(m.ctx)).refused).toEqual([]);
  });

  it('leaves the version before it live and whole', async () => {
    serve(hub, [a1]);
    await syncMachine(m.ctx, { mode: 'explicit' });
    serve(hub, [a2], { counter: 2 });
    await syncMachine(await open({}, spoiling('versions/alpha')), { mode: 'explicit' });
    expect(await installed()).toEqual(['alpha@1.0.0']);
    expect(await readFile(join(m.ctx.machine.paths.pluginsDir, 'alpha/commands/a.md'), 'utf8')).toContain('one');
    expect((await machineStatus(m.ctx)).plugins[0]).toMatchObject({ version: '1.0.0', state: 'verified' });
  });

  it('nor does a copy of the loose layout: the version before it stays whole, the rest is installed', async () => {
    await updateConfig(m.ctx.machine, (raw) => ({ ...raw, plugins: { ...Object(raw.plugins), layout: 'loose' } }));
    serve(hub, [a1]);
    await syncMachine(await m.reopen(), { mode: 'explicit' });
    serve(hub, [a2, b1], { counter: 2 });
    const bad = await syncMachine(await open({}, spoiling('.a.md.hv-tmp')), { mode: 'explicit' });
    expect((await installed()).sort()).toEqual(['alpha@1.0.0', 'beta@1.0.0']);
    expect(bad.problems).toEqual([expect.objectContaining({ name: 'alpha', code: 'VERIFY_FAILED', where: 'machine' })]);
    expect(await readFile(join(m.ctx.machine.paths.commandsDir, 'a.md'), 'utf8')).toContain('one');
    const status = await machineStatus(m.ctx);
    expect(status.refused).toEqual([{ digest: a2.entry.digest, reason: expect.stringContaining('VERIFY_FAILED') }]);
    expect(status.plugins.find((p) => p.name === 'alpha')).toMatchObject({ version: '1.0.0', state: 'verified' });
    expect(status.plugins.find((p) => p.name === 'alpha')?.notice).toContain('does not read back');
  });
});
