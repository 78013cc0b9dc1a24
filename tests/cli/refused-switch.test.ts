// A layout that the configuration wants and one plugin keeps this machine from: everything else goes on in the one that is here.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { ClientContext } from '../../server/src/client/context.ts';
import { openClient } from '../../server/src/client/context.ts';
import { runDoctor } from '../../server/src/client/doctor/doctor.ts';
import { localAudit } from '../../server/src/client/local-audit.ts';
import { machineStatus } from '../../server/src/client/status.ts';
import { type SyncResult, syncMachine } from '../../server/src/client/sync/index.ts';
import { describeSync } from '../../server/src/client/sync/notice.ts';
import { whyPlugin } from '../../server/src/client/why.ts';
import { HaiveError } from '../../server/src/domain/errors.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { type FilePort, realFilePort } from '../../server/src/machine/files/file-port.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { json, serve, type Version, version } from './scripted-hub.ts';
import { hub, m, scriptedPair } from './scripted-pair.ts';

const asks = (v: string) => {
  const userConfig = { token: { type: 'string', title: 'T', description: 'd', required: true } };
  return { '.claude-plugin/plugin.json': JSON.stringify({ name: 'asks', version: v, description: 'a', userConfig }) };
};
const skill = (v: string) => ({ 'skills/tidy/SKILL.md': `---\nname: tidy\ndescription: d\n---\n${v}` });
const command = (v: string) => ({ 'commands/calm.md': `---\ndescription: c\n---\n${v}` });
const [asks1, asks2, easy] = [
  version('asks', '1.0.0', asks('1.0.0')),
  version('asks', '2.0.0', asks('2.0.0')),
  version('asks', '3.0.0', {}),
];
const [calm1, calm2] = [version('calm', '1.0.0', command('one')), version('calm', '2.0.0', command('two'))];
const [bad1, new1] = [
  version('bad', '1.0.0', { 'commands/bad.md': 'bad' }),
  version('new', '1.0.0', { 'commands/new.md': 'new' }),
];
const tidy1 = version('tidy', '1.0.0', skill('one'));

let counter = 0;
scriptedPair();

function wants(versions: Version[], revoked: Version[] = []): void {
  const told = revoked.map(({ entry: { digest, name, version: v } }) => ({ digest, name, version: v, reason: 'bad' }));
  serve(hub, versions, { counter: ++counter, etag: `"${counter}"`, revoked: told });
}
async function setLayout(layout: string, more: Record<string, unknown> = {}): Promise<void> {
  await updateConfig(m.ctx.machine, (raw) => ({ ...raw, plugins: { ...Object(raw.plugins), layout, ...more } }));
}
const sync = async (mode: 'agent' | 'explicit' = 'explicit', ctx?: ClientContext): Promise<SyncResult> =>
  syncMachine(ctx ?? (await m.reopen()), { mode });
const here = async (): Promise<Record<string, string>> => {
  const { layout, plugins } = await readReceipts(m.ctx.machine);
  return { layout, ...Object.fromEntries(Object.values(plugins).map((p) => [p.name, p.version])) };
};
const path = (...parts: string[]) => join(m.home, '.claude', ...parts);
const layoutCheck = async () => (await runDoctor(await m.reopen())).checks.find((c) => c.check === 'layout');
const REASON = /^the layout loose is wanted here and was refused, native stays: asks asks for userConfig token/;
const refusal = { name: 'plugins.layout', code: 'LAYOUT_UNSUPPORTED', message: expect.stringMatching(REASON) };

describe('a plugin that does not fit the layout that is wanted', () => {
  beforeEach(async () => {
    wants([asks1, calm1, bad1]);
    await sync();
    await setLayout('loose');
  });

  it('keeps neither a revocation nor an update nor a first install back', async () => {
    wants([asks1, calm2, new1], [bad1]);
    const result = await sync();
    expect(result.changed).toMatchObject({
      removed: ['bad'],
      updated: [{ name: 'calm' }],
      installed: [{ name: 'new' }],
    });
    expect(result).toMatchObject({ layoutRefused: refusal, problems: [] });
    expect(await here()).toEqual({ layout: 'native', asks: '1.0.0', calm: '2.0.0', new: '1.0.0' });
    expect(Object.keys(JSON.parse(await readFile(path('settings.json'), 'utf8')).enabledPlugins)).not.toContain(
      'bad@collective',
    );
    expect(describeSync(result)).toContain('the layout stays as it is (LAYOUT_UNSUPPORTED)');
  });

  it('is itself updated, removed and revoked', async () => {
    wants([asks2, calm1, bad1]);
    expect((await sync()).layoutRefused).toMatchObject(refusal);
    expect(await here()).toMatchObject({ layout: 'native', asks: '2.0.0' });
    wants([calm1, bad1], [asks2]);
    expect((await sync()).layoutRefused).toBeNull();
    expect(await here()).toEqual({ layout: 'loose', calm: '1.0.0', bad: '1.0.0' });
  });

  it('lets the machine over once a version fits', async () => {
    expect((await sync()).layoutRefused).toMatchObject(refusal);
    wants([easy, calm1, bad1]);
    expect((await sync()).layoutRefused).toBeNull();
    expect(await here()).toMatchObject({ layout: 'loose', asks: '3.0.0' });
    expect(await machineStatus(await m.reopen())).toMatchObject({
      layout: 'loose',
      layout_wanted: 'loose',
      problems: [],
    });
  });

  it('is named by status, why and doctor, with what can be done, until the wish is taken back', async () => {
    hub.answers['GET /api/machines/me/why/calm'] = (_, response) =>
      json(response, { name: 'calm', machine: 'test', desired: null, installed: '1.0.0', reasons: [] });
    expect(await layoutCheck()).toMatchObject({ result: 'warn', message: expect.stringContaining('loose is wanted') });
    expect(await machineStatus(await m.reopen())).toMatchObject({
      layout: 'native',
      layout_wanted: 'loose',
      in_step: false,
      problems: [],
    });
    await sync('agent');
    const hint = expect.stringContaining('hv config set layout native');
    const status = await machineStatus(await m.reopen());
    expect(status).toMatchObject({ layout: 'native', layout_wanted: 'loose', in_step: false });
    expect(status.problems).toEqual([{ ...refusal, hint }]);
    expect((await machineStatus(await m.reopen(), 'calm')).problems).toEqual([{ ...refusal, hint }]);
    expect(await layoutCheck()).toMatchObject({
      result: 'warn',
      message: expect.stringContaining('asks for userConfig'),
      fix: hint,
    });
    expect((await whyPlugin(await m.reopen(), 'calm')).here).toContainEqual(
      expect.stringMatching(/^LAYOUT_UNSUPPORTED: .*loose.*asks asks.*native/),
    );

    await setLayout('native');
    expect((await sync()).layoutRefused).toBeNull();
    expect(await machineStatus(await m.reopen())).toMatchObject({
      layout_wanted: 'native',
      in_step: true,
      problems: [],
    });
    expect(await layoutCheck()).toMatchObject({ result: 'ok' });
    expect((await whyPlugin(await m.reopen(), 'calm')).here).toEqual([]);
  });

  it('is written down once, however often it is tried', async () => {
    for (let n = 0; n < 3; n++) await sync('agent');
    const { entries, proof } = await localAudit(m.ctx);
    expect(entries.filter((e) => e.target === 'plugins.layout')).toEqual([
      expect.objectContaining({ what: 'refuse', before: { layout: 'native' }, result: 'LAYOUT_UNSUPPORTED' }),
    ]);
    expect(proof).toMatchObject({ brokenAt: null });
  });

  it('keeps the others from nothing where it is not installed yet', async () => {
    wants([calm1, bad1]);
    await setLayout('native');
    await sync();
    await setLayout('loose');
    wants([calm1, bad1, asks1]);
    const result = await sync();
    expect(result).toMatchObject({ layoutRefused: null, problems: [{ name: 'asks', code: 'LAYOUT_UNSUPPORTED' }] });
    expect(await here()).toEqual({ layout: 'loose', calm: '1.0.0', bad: '1.0.0' });
  });
});

it('a file of somebody else in the way refuses the switch alone, and the next sync makes it once that is gone', async () => {
  wants([tidy1, bad1]);
  await setLayout('loose');
  await sync();
  await writeFile(path('skills/tidy/own.txt'), 'mine');
  await setLayout('native');
  await sync();
  await setLayout('loose');
  wants([tidy1], [bad1]);
  expect(await sync()).toMatchObject({ layoutRefused: { code: 'NAME_CLASH' }, changed: { removed: ['bad'] } });
  expect(await here()).toEqual({ layout: 'native', tidy: '1.0.0' });
  await rm(path('skills'), { recursive: true });
  expect((await sync()).layoutRefused).toBeNull();
  expect(await here()).toEqual({ layout: 'loose', tidy: '1.0.0' });
});

it('a marketplace that the organisation forbids keeps the loose layout at work', async () => {
  wants([calm1, bad1]);
  await setLayout('loose');
  await sync();
  const managedSettings = join(m.home, 'managed');
  await mkdir(managedSettings);
  await writeFile(join(managedSettings, 'managed-settings.json'), JSON.stringify({ strictKnownMarketplaces: [] }));
  await setLayout('native');
  const open = () => openClient({ ...m.ctx.env, managedSettings });
  wants([calm2], [bad1]);
  expect(await sync('explicit', await open())).toMatchObject({
    layoutRefused: { code: 'MARKETPLACE_FORBIDDEN' },
    changed: { removed: ['bad'], updated: [{ name: 'calm' }] },
  });
  expect(await here()).toEqual({ layout: 'loose', calm: '2.0.0' });
  expect(await readFile(path('commands/calm.md'), 'utf8')).toContain('two');
});

it('settings that the other layout needs and that are no JSON refuse the switch alone', async () => {
  const serves = version('serves', '1.0.0', { '.mcp.json': '{"mcpServers":{"probe":{"command":"true"}}}' });
  wants([serves, bad1]);
  await sync();
  await setLayout('loose');
  await writeFile(join(m.home, '.claude.json'), '{');
  wants([serves], [bad1]);
  expect(await sync()).toMatchObject({ layoutRefused: { code: 'SETTINGS_INVALID' }, changed: { removed: ['bad'] } });
  expect(await here()).toEqual({ layout: 'native', serves: '1.0.0' });
});

it('no room for the other layout keeps back nothing that needs none, and the switch is made once there is some', async () => {
  wants([calm1, bad1]);
  await sync();
  await setLayout('loose');
  wants([calm1]);
  const real = realFilePort();
  const port: FilePort = {
    ...real,
    async writeFile(to, bytes, options) {
      if (to.includes(`${sep}versions${sep}`) || to.includes(`${sep}commands${sep}`))
        throw new HaiveError('DISK_FULL', 'no room');
      return real.writeFile(to, bytes, options);
    },
  };
  expect(await sync('explicit', await openClient(m.ctx.env, { port }))).toMatchObject({
    layoutRefused: { code: 'DISK_FULL', message: expect.stringContaining('no room') },
    changed: { removed: ['bad'] },
  });
  expect(await here()).toEqual({ layout: 'native', calm: '1.0.0' });
  expect((await sync()).layoutRefused).toBeNull();
  expect(await here()).toEqual({ layout: 'loose', calm: '1.0.0' });
});

it('a switch that was begun is finished, not refused', async () => {
  wants([calm1]);
  await sync();
  await setLayout('loose');
  let failing = true;
  const real = realFilePort();
  const port: FilePort = {
    ...real,
    async rename(from, to) {
      if (failing && to.endsWith('receipts.json')) throw new HaiveError('DISK_FULL', 'no room');
      return real.rename(from, to);
    },
  };
  await expect(sync('explicit', await openClient(m.ctx.env, { port }))).rejects.toMatchObject({ code: 'DISK_FULL' });
  failing = false;
  expect((await sync()).layoutRefused).toBeNull();
  expect(await here()).toEqual({ layout: 'loose', calm: '1.0.0' });
});

describe('a layout that can be had', () => {
  const dryRun = async () => syncMachine(await m.reopen(), { mode: 'explicit', dryRun: true });

  it('is told by the dry run, and by the sync that moves everything', async () => {
    wants([calm1, bad1]);
    expect((await sync()).switched).toBeNull();
    await setLayout('loose');
    const before = await dryRun();
    expect(before).toMatchObject({ switched: { from: 'native', to: 'loose' }, layoutRefused: null });
    expect(describeSync(before)).toBe('hAIveMind: would be moved: all plugins, from the layout native to loose');
    expect(await here()).toMatchObject({ layout: 'native' });
    const moved = await sync();
    expect(moved.switched).toEqual({ from: 'native', to: 'loose' });
    expect(describeSync(moved)).toContain('moved: all plugins, from the layout native to loose · /reload-plugins');
    expect(await here()).toMatchObject({ layout: 'loose' });
    expect((await sync()).switched).toBeNull();
    expect((await dryRun()).switched).toBeNull();
  });

  it('is foreseen as refused where a plugin that stays does not fit, not where that plugin goes', async () => {
    wants([asks1, calm1]);
    await sync();
    await setLayout('loose');
    expect(await dryRun()).toMatchObject({ switched: null, layoutRefused: refusal });
    wants([calm1]);
    expect(await dryRun()).toMatchObject({ switched: { from: 'native', to: 'loose' }, layoutRefused: null });
  });
});

it('a plugin that does not fit stands in the history with the hint that came with it', async () => {
  await setLayout('loose');
  wants([asks1, calm1]);
  const [problem] = (await sync()).problems;
  expect(problem).toMatchObject({
    name: 'asks',
    code: 'LAYOUT_UNSUPPORTED',
    hint: expect.stringContaining('layout native'),
  });
  const { entries } = await localAudit(await m.reopen());
  expect(entries.find((e) => e.what === 'refuse' && e.target === 'asks')?.after).toMatchObject({ hint: problem?.hint });
});
