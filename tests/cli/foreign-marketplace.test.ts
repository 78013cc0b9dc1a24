// A person's own marketplace may be called `collective` as ours is: it is theirs, whatever hv is asked to do.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { runDoctor } from '../../server/src/client/doctor/doctor.ts';
import { joinHub } from '../../server/src/client/join/index.ts';
import { leaveHub } from '../../server/src/client/join/leave.ts';
import { machineStatus } from '../../server/src/client/status.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { serve, transfers, version } from './scripted-hub.ts';
import { hub, m, scriptedPair } from './scripted-pair.ts';

const team = version('team', '1.0.0', { 'commands/a.md': '---\ndescription: a\n---\none' });

scriptedPair();
beforeEach(() => serve(hub, [team]));

const theirs = { source: { source: 'directory', path: '/home/me/mp' } };
const settings = { extraKnownMarketplaces: { collective: theirs }, enabledPlugins: { 'own@collective': true } };
const known = { collective: { ...theirs, installLocation: '/home/me/mp', lastUpdated: '2026-01-01T00:00:00.000Z' } };
const rows = { version: 2, plugins: { 'own@collective': [{ scope: 'user', installPath: '/home/me/cache/own' }] } };
const text = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

async function write(path: string, value: unknown): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text(value));
  return text(value);
}
const read = (path: string): Promise<string> => readFile(path, 'utf8');
const looked = async (check: string) => (await runDoctor(m.ctx)).checks.find((c) => c.check === check);
const installed = async () => Object.keys((await readReceipts(m.ctx.machine)).plugins);
const refusal = {
  code: 'NAME_CLASH',
  message: expect.stringContaining('/home/me/mp'),
  hint: expect.stringMatching(/marketplace remove collective.*layout loose/),
};
/** The person adds theirs when ours is there already. */
async function addedLater() {
  await syncMachine(m.ctx, { mode: 'explicit' });
  const { paths } = m.ctx.machine;
  const now = JSON.parse(await read(paths.settings));
  now.extraKnownMarketplaces.collective = theirs;
  now.enabledPlugins['own@collective'] = true;
  await write(paths.settings, now);
  return { paths, now };
}
async function loosely() {
  await updateConfig(m.ctx.machine, (raw) => ({ ...raw, plugins: { layout: 'loose' } }));
  m.ctx = await m.reopen();
}

describe.each(['settings.json', 'known_marketplaces.json'])('where %s names it', (file) => {
  const place = () => (file === 'settings.json' ? m.ctx.machine.paths.settings : m.ctx.machine.paths.knownMarketplaces);
  const value = file === 'settings.json' ? settings : known;

  it('sync refuses before anything is fetched, and the file stays', async () => {
    const before = await write(place(), value);
    await expect(syncMachine(m.ctx, { mode: 'explicit' })).rejects.toMatchObject(refusal);
    expect([transfers(hub), await installed()]).toEqual([[], []]);
    expect(await read(place())).toBe(before);
  });

  it('join refuses before the hub hears of this machine', async () => {
    await leaveHub(m.ctx);
    const before = await write(place(), value);
    const asked = hub.seen.length;
    const ctx = await m.reopen();
    await expect(joinHub(ctx, { url: hub.url, token: 'hvt_x', name: 'm1' })).rejects.toMatchObject(refusal);
    expect(hub.seen).toHaveLength(asked);
    expect(await read(place())).toBe(before);
  });

  it('the loose layout needs no marketplace, and leaves it alone to the end', async () => {
    const before = await write(place(), value);
    const list = await write(m.ctx.machine.paths.installedPlugins, rows);
    await loosely();
    await syncMachine(m.ctx, { mode: 'explicit' });
    expect(await installed()).toEqual(['team']);
    expect(await looked('keys')).toMatchObject({ result: 'ok' });
    expect(await runDoctor(m.ctx, { fix: true })).toMatchObject({ fixed: [], failed: [] });
    expect(await read(place())).toBe(before);
    await leaveHub(m.ctx);
    expect([await read(place()), await read(m.ctx.machine.paths.installedPlugins)]).toEqual([before, list]);
  });
});

it('one that came after ours is named by doctor; --fix and leave take nothing of it', async () => {
  const { paths, now } = await addedLater();
  const list = JSON.parse(await read(paths.installedPlugins));
  await write(paths.installedPlugins, { ...list, plugins: { ...list.plugins, ...rows.plugins } });

  expect(await looked('marketplace')).toMatchObject({
    result: 'fail',
    message: expect.stringContaining('/home/me/mp'),
  });
  expect((await looked('keys'))?.message).not.toContain('own@collective');
  expect((await runDoctor(m.ctx, { fix: true })).fixed).toEqual([]);
  expect(JSON.parse(await read(paths.settings))).toEqual(now);
  serve(hub, [version('team', '2.0.0', {})], { counter: 2 });
  await expect(syncMachine(m.ctx, { mode: 'explicit' })).rejects.toMatchObject(refusal);
  await leaveHub(m.ctx);
  expect(JSON.parse(await read(paths.settings))).toEqual(settings);
  expect(JSON.parse(await read(paths.installedPlugins))).toEqual(rows);
});

it('and the way out is the loose layout: everything goes on there', async () => {
  const { paths } = await addedLater();
  await loosely();
  await syncMachine(m.ctx, { mode: 'explicit' });
  expect(await read(join(paths.commandsDir, 'a.md'))).toContain('one');
  expect(JSON.parse(await read(paths.settings))).toEqual(settings);
});

it.each(['/old home/.claude/plugins/.haivemind', 'C:\\old\\.claude\\plugins\\.haivemind'])(
  'one that leads to our folder of another HOME is ours: %s',
  async (path) => {
    const { paths } = m.ctx.machine;
    const old = { source: { source: 'directory', path } };
    await write(paths.settings, {
      extraKnownMarketplaces: { collective: old },
      enabledPlugins: { 'gone@collective': true },
    });
    await write(paths.knownMarketplaces, { collective: { ...old, installLocation: path } });
    expect(await looked('keys')).toMatchObject({ result: 'warn', message: expect.stringContaining('gone@collective') });
    await syncMachine(m.ctx, { mode: 'explicit' });
    await runDoctor(m.ctx, { fix: true });
    expect(JSON.parse(await read(paths.settings))).toEqual({
      extraKnownMarketplaces: { collective: { source: { source: 'directory', path: paths.root } } },
      enabledPlugins: { 'team@collective': true },
    });
  },
);

it.each([
  ["somebody else's comes back when ours goes", '/home/me/.claude/plugins/cache/collective/team/0.1.0', true],
  ['one of ours, of another HOME, does not', '/old/.claude/plugins/.haivemind/versions/team/0.1.0-0123456789ab', false],
])("a row of the client's list that bears our key: %s", async (_, installPath, back) => {
  const { paths } = m.ctx.machine;
  const row = { version: 2, plugins: { 'team@collective': [{ scope: 'user', installPath, version: '0.1.0' }] } };
  const before = await write(paths.installedPlugins, row);
  await syncMachine(m.ctx, { mode: 'explicit' });
  serve(hub, [version('team', '2.0.0', {})], { counter: 2 });
  await syncMachine(m.ctx, { mode: 'explicit', byPolicy: false });
  expect(await read(paths.installedPlugins)).toContain(paths.root);
  await leaveHub(m.ctx);
  if (back) expect(await read(paths.installedPlugins)).toBe(before);
  else expect(JSON.parse(await read(paths.installedPlugins))).toEqual({ version: 2, plugins: {} });
});

it('a switch to the native layout that it keeps out is told with the same ways out afterwards', async () => {
  await loosely();
  await syncMachine(m.ctx, { mode: 'explicit' });
  const { paths } = m.ctx.machine;
  const now = JSON.parse(await read(paths.settings).catch(() => '{}'));
  await write(paths.settings, { ...now, ...settings });
  await updateConfig(m.ctx.machine, (raw) => ({ ...raw, plugins: { layout: 'native' } }));
  m.ctx = await m.reopen();
  const { layoutRefused } = await syncMachine(m.ctx, { mode: 'explicit' });
  expect(layoutRefused).toMatchObject(refusal);
  const { problems } = await machineStatus(await m.reopen());
  expect(problems).toMatchObject([{ name: 'plugins.layout', ...refusal }]);
});
