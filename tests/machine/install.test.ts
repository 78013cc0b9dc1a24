import { lstat, mkdir, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { shortDigest } from '../../server/src/domain/version/record.ts';
import type { Install } from '../../server/src/machine/change/transaction.ts';
import { planRollback } from '../../server/src/machine/change/versions-on-disk.ts';
import { inspect } from '../../server/src/machine/drift.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { sha256Of } from '../../server/src/machine/store/blob-store.ts';
import { makeRig, makeVersion, type Rig } from './rig.ts';

const ROOT = '.claude/plugins/.haivemind';
let rig: Rig;

beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

const json = async (path: string): Promise<Record<string, object>> => JSON.parse(await rig.read(path));
const dirOf = (install: Install): string =>
  `versions/${install.record.name}/${install.record.version}-${shortDigest(install.record.digest)}`;

describe('an installation', () => {
  it('puts pointer, keys, list, link, files and executable bits in place', async () => {
    const one = await rig.store(
      'ops',
      '1.0.0',
      { 'commands/go.md': 'go', 'bin/run.sh': '#!/bin/sh\n' },
      { executable: ['bin/run.sh'] },
    );
    const result = await rig.apply({ install: [one] });
    expect(result).toEqual({
      installed: [{ name: 'ops', version: '1.0.0', from: null }],
      removed: [],
      edits: [],
      warnings: [],
    });
    expect(await json(`${ROOT}/.claude-plugin/marketplace.json`)).toEqual({
      name: 'collective',
      owner: { name: 'hAIveMind' },
      plugins: [{ name: 'ops', source: `./${dirOf(one)}`, description: 'ops for tests', version: '1.0.0' }],
    });
    expect(await json('.claude/settings.json')).toEqual({
      extraKnownMarketplaces: { collective: { source: { source: 'directory', path: rig.machine.paths.root } } },
      enabledPlugins: { 'ops@collective': true },
    });
    const list = await json('.claude/plugins/installed_plugins.json');
    expect(list).toMatchObject({
      version: 2,
      plugins: { 'ops@collective': [{ scope: 'user', version: '1.0.0', installPath: rig.path(ROOT, dirOf(one)) }] },
    });
    expect(await readlink(rig.path('.claude/plugins/ops'))).toBe(`.haivemind/${dirOf(one)}`);
    expect(await rig.read('.claude/plugins/ops/commands/go.md')).toBe('go');
    expect((await lstat(rig.path(ROOT, dirOf(one), 'bin/run.sh'))).mode & 0o111).not.toBe(0);
    expect((await lstat(rig.path(ROOT, dirOf(one), 'commands/go.md'))).mode & 0o111).toBe(0);
    expect((await inspect(rig.machine))[0]).toMatchObject({ name: 'ops', state: 'verified', edited: [], missing: [] });
  });

  it('of several plugins is one change, and removal leaves nothing behind but the trees', async () => {
    const before = await rig.snapshot();
    const [a, b] = [await rig.store('a', '1.0.0', { x: 'x' }), await rig.store('b', '1.0.0', { x: 'x' })];
    await rig.apply({ install: [a, b] });
    await rig.apply({ remove: ['a'], reason: 'remove' });
    expect(Object.keys((await json('.claude/settings.json')).enabledPlugins ?? {})).toEqual(['b@collective']);
    await rig.apply({ remove: ['b'], reason: 'remove' });
    const after = await rig.snapshot();
    const outside = Object.keys(after).filter((path) => !path.startsWith(ROOT));
    expect(outside.filter((path) => before[path] === undefined)).toEqual(['.claude', '.claude/plugins']);
    expect(await readdir(rig.path(ROOT, 'versions')).then((x) => x.sort())).toEqual(['a', 'b']);
  });

  it('changes nothing the second time', async () => {
    const one = await rig.store('ops', '1.0.0', { a: 'a' });
    await rig.apply({ install: [one] });
    const before = await rig.snapshot();
    expect((await rig.apply({ install: [one] })).installed).toEqual([]);
    expect(await rig.snapshot()).toEqual(before);
  });

  it.each([
    ['BLOB_MISSING', (i: Install) => ({ ...i, ...makeVersion('ops', '9.0.0', { other: 'bytes' }).install })],
    ['DIGEST_MISMATCH', (i: Install) => ({ ...i, record: { ...i.record, digest: `sha256:${'0'.repeat(64)}` } })],
    ['DIGEST_MISMATCH', (i: Install) => ({ ...i, entry: { ...i.entry, version: '7.0.0' } })],
    ['NAME_RESERVED', () => makeVersion('cache', '1.0.0', {}).install],
    ['NAME_INVALID', () => makeVersion('../evil', '1.0.0', {}).install],
    ['PATH_UNSAFE', () => makeVersion('ops', '1.0.0', { '../../x': 'x' }).install],
    ['PATH_COLLISION', () => makeVersion('ops', '1.0.0', { 'A.md': 'x', 'a.md': 'x' }).install],
  ])('is refused whole with %s', async (code, spoil) => {
    const good = await rig.store('good', '1.0.0', { a: 'a' });
    const bad = spoil(await rig.store('ops', '1.0.0', { a: 'a' }));
    const before = await rig.snapshot();
    await expect(rig.apply({ install: [good, bad] })).rejects.toMatchObject({ code });
    expect(await rig.snapshot()).toEqual(before);
  });

  it('is refused, undone and fetched again later when a blob is damaged on this disk', async () => {
    const one = await rig.store('ops', '1.0.0', { a: 'right' });
    const before = await rig.snapshot();
    await writeFile(join(rig.machine.paths.blobs, sha256Of('right')), 'wrong');
    await expect(rig.apply({ install: [one] })).rejects.toMatchObject({ code: 'HASH_MISMATCH' });
    expect(await rig.snapshot()).toEqual(before);
    await expect(rig.apply({ install: [one] })).rejects.toMatchObject({ code: 'BLOB_MISSING' });
  });

  it('is refused for a plugin that is not there to be removed', async () => {
    await expect(rig.apply({ remove: ['ghost'] })).rejects.toMatchObject({ code: 'NOT_INSTALLED' });
  });
});

describe('what belongs to the user', () => {
  it('a disabled plugin stays disabled over an update, and an uninstalled one is not put back', async () => {
    await rig.apply({
      install: [await rig.store('a', '1.0.0', { x: '1' }), await rig.store('b', '1.0.0', { x: '1' })],
    });
    const settings = await json('.claude/settings.json');
    await rig.write(
      '.claude/settings.json',
      JSON.stringify({ ...settings, enabledPlugins: { 'a@collective': false } }),
    );
    await rig.write('.claude/plugins/installed_plugins.json', '{"version":2,"plugins":{}}');
    await rig.apply({
      install: [await rig.store('a', '2.0.0', { x: '2' }), await rig.store('b', '2.0.0', { x: '2' })],
    });
    expect((await json('.claude/settings.json')).enabledPlugins).toEqual({ 'a@collective': false });
    expect(await json('.claude/plugins/installed_plugins.json')).toEqual({ version: 2, plugins: {} });
    expect((await inspect(rig.machine)).map((p) => p.state)).toEqual(['disabled', 'disabled']);
    await rig.apply({ enable: ['a', 'b'] });
    expect((await json('.claude/settings.json')).enabledPlugins).toEqual({
      'a@collective': false,
      'b@collective': true,
    });
  });

  it('a folder in the place of the link, and a command in the place of ours, stay and are named', async () => {
    await mkdir(rig.path('.claude/plugins/ops'), { recursive: true });
    await rig.write('.claude/commands/go.md', 'mine');
    const one = await rig.store('ops', '1.0.0', { 'commands/go.md': 'ours' }, { globalCommands: true });
    const { warnings } = await rig.apply({ install: [one] });
    expect(warnings.map((w) => w.split(':')[0])).toEqual(['PATH_OCCUPIED', 'PATH_OCCUPIED']);
    expect(await rig.read('.claude/commands/go.md')).toBe('mine');
    await rig.apply({ remove: ['ops'] });
    expect(await rig.read('.claude/commands/go.md')).toBe('mine');
    expect((await lstat(rig.path('.claude/plugins/ops'))).isDirectory()).toBe(true);
  });

  it('bare commands follow the plugin, and an edited one stays', async () => {
    const variable = '$' + '{CLAUDE_PLUGIN_ROOT}';
    const files = { 'commands/go.md': `run ${variable}/x`, 'commands/stop.md': 'stop' };
    const one = await rig.store('ops', '1.0.0', files, { globalCommands: true });
    await rig.apply({ install: [one] });
    expect(await rig.read('.claude/commands/go.md')).toBe(`run ${rig.path(ROOT, dirOf(one))}/x`);
    await rig.write('.claude/commands/stop.md', 'my stop');
    const two = await rig.store('ops', '2.0.0', { ...files, 'commands/stop.md': 'stop 2' }, { globalCommands: true });
    expect((await rig.apply({ install: [two] })).warnings).toHaveLength(1);
    expect(await rig.read('.claude/commands/go.md')).toBe(`run ${rig.path(ROOT, dirOf(two))}/x`);
    expect(await rig.read('.claude/commands/stop.md')).toBe('my stop');
    await rig.apply({ remove: ['ops'] });
    expect(await readdir(rig.path('.claude/commands'))).toEqual(['stop.md']);
  });

  it('a bare command that lies there exactly as we write it is taken up where no receipts are', async () => {
    await rig.write('.claude/commands/go.md', 'go');
    await rig.write('.claude/commands/stop.md', 'my stop');
    const files = { 'commands/go.md': 'go', 'commands/stop.md': 'stop' };
    const one = await rig.store('ops', '1.0.0', files, { globalCommands: true });
    const { warnings } = await rig.apply({ install: [one] });
    expect(warnings).toEqual([expect.stringMatching(/PATH_OCCUPIED: .*stop\.md is not ours/)]);
    await rig.apply({ remove: ['ops'] });
    expect(await readdir(rig.path('.claude/commands'))).toEqual(['stop.md']);
    // Beside plugins that are known it is somebody's own.
    await rig.apply({ install: [await rig.store('other', '1.0.0', { a: '1' })] });
    await rig.write('.claude/commands/go.md', 'go');
    expect((await rig.apply({ install: [one] })).warnings).toHaveLength(2);
    await rig.apply({ remove: ['ops'] });
    expect(await rig.read('.claude/commands/go.md')).toBe('go');
  });

  it('the stock core is set aside while the collective has one, and given back', async () => {
    const text = '{"enabledPlugins":{"haivemind-core@haivemind":true , "x@y": true}}';
    await rig.write('.claude/settings.json', text);
    await rig.apply({ install: [await rig.store('haivemind-core', '1.0.0', {})] });
    expect((await json('.claude/settings.json')).enabledPlugins).toEqual({
      'haivemind-core@haivemind': false,
      'x@y': true,
      'haivemind-core@collective': true,
    });
    await rig.apply({ remove: ['haivemind-core'] });
    expect(await rig.read('.claude/settings.json')).toBe(text);
  });

  it.each([
    ['SETTINGS_INVALID', ''],
    ['SETTINGS_INVALID', '{"a":1,'],
    ['SETTINGS_INVALID', '// note\n{}'],
    ['SETTINGS_INVALID', '[]'],
    ['SETTINGS_INVALID', '{"enabledPlugins":[]}'],
    ['SETTINGS_INVALID', '{"enabledPlugins":{},"enabledPlugins":{}}'],
  ])('settings that cannot be edited are refused with %s and left alone: %s', async (code, text) => {
    const one = await rig.store('ops', '1.0.0', { a: 'a' });
    await rig.write('.claude/settings.json', text);
    const before = await rig.snapshot();
    await expect(rig.apply({ install: [one] })).rejects.toMatchObject({ code });
    expect(await rig.snapshot()).toEqual(before);
  });
});

describe('updates and edits', () => {
  const lines = (...changed: [number, string][]): string =>
    Array.from({ length: 12 }, (_, i) => `${changed.find(([n]) => n === i)?.[1] ?? `line ${i}`}\n`).join('');

  it('keep, merge and report what the user did', async () => {
    const v1 = { keep: 'k1', merge: lines(), clash: 'c1', gone: 'g1', dropped: 'd1', plain: 'p1' };
    const v2 = { keep: 'k1', merge: lines([10, 'ours']), clash: 'c2', gone: 'g1', plain: 'p2' };
    const [one, two] = [await rig.store('ops', '1.0.0', v1), await rig.store('ops', '2.0.0', v2)];
    await rig.apply({ install: [one] });
    const live = '.claude/plugins/ops';
    await rig.write(`${live}/keep`, 'k mine');
    await rig.write(`${live}/merge`, lines([1, 'mine']));
    await rig.write(`${live}/clash`, 'c mine');
    await rig.write(`${live}/dropped`, 'd mine');
    await rig.write(`${live}/notes/my.txt`, 'note');
    await rm(rig.path(live, 'gone'));
    const { edits } = await rig.apply({ install: [two], reason: 'update' });
    expect(Object.fromEntries(edits.map((e) => [e.path, e.outcome]))).toEqual({
      keep: 'kept',
      merge: 'merged',
      clash: 'conflict',
      gone: 'kept',
      dropped: 'kept',
      'notes/my.txt': 'kept',
    });
    expect(await rig.read(live, 'keep')).toBe('k mine');
    expect(await rig.read(live, 'merge')).toBe(lines([1, 'mine'], [10, 'ours']));
    expect(await rig.read(live, 'clash')).toBe('c mine');
    expect(await rig.read(live, 'clash.hv-new')).toBe('c2');
    expect(await rig.read(live, 'dropped')).toBe('d mine');
    expect(await rig.read(live, 'notes/my.txt')).toBe('note');
    expect(await rig.read(live, 'plain')).toBe('p2');
    await expect(lstat(rig.path(live, 'gone'))).rejects.toThrow();
    const [state] = await inspect(rig.machine);
    expect(state).toMatchObject({ state: 'edited', conflicts: ['clash'], missing: [] });

    // Unresolved, the conflict is still against what both started from; resolved, the beside-file does not come back.
    const three = await rig.store('ops', '3.0.0', { ...v2, clash: 'c1' });
    await rig.apply({ install: [three] });
    expect(await rig.read(live, 'clash')).toBe('c mine');
    await expect(lstat(rig.path(live, 'clash.hv-new'))).rejects.toThrow();
    expect(await rig.read(live, 'notes/my.txt')).toBe('note');
  });

  it('force puts back what was published', async () => {
    await rig.apply({ install: [await rig.store('ops', '1.0.0', { a: 'a' })] });
    await rig.write('.claude/plugins/ops/a', 'mine');
    const again = await rig.store('ops', '1.0.0', { a: 'a' }, { force: 'f1' });
    const { warnings } = await rig.apply({ install: [again] });
    expect(warnings[0]).toMatch(/local edits were replaced/);
    expect(await rig.read('.claude/plugins/ops/a')).toBe('a');
    expect((await rig.apply({ install: [again] })).installed).toEqual([]);
  });

  it('the overlay lies on top of every version', async () => {
    await rig.apply({ install: [await rig.store('ops', '1.0.0', { a: 'a1', b: 'b1' })] });
    await rig.write(`${ROOT}/overlays/ops/a`, 'over');
    await rig.write(`${ROOT}/overlays/ops/own`, 'own');
    await rig.apply({ install: [await rig.store('ops', '2.0.0', { a: 'a2', b: 'b2' })] });
    expect(await rig.read('.claude/plugins/ops/a')).toBe('over');
    const looked = await inspect(rig.machine);
    expect(looked[0]).toMatchObject({ state: 'verified', edited: [], missing: [] });
    expect(await inspect(rig.machine, { readBack: new Set(['ops']) })).toEqual(looked);
    await rm(rig.path(ROOT, 'overlays/ops/own'));
    await rm(rig.path(ROOT, 'overlays/ops/a'));
    await rig.apply({ install: [await rig.store('ops', '3.0.0', { a: 'a3', b: 'b3' })] });
    expect(await rig.read('.claude/plugins/ops/a')).toBe('a3');
  });

  it('what was edited where it lies wins over the overlay, and is merged with what is published', async () => {
    const lines = (third: string): string => `1\n2\n${third}\n4\n5\n6\n`;
    await rig.write(`${ROOT}/overlays/ops/a`, `${lines('3')}laid over\n`);
    await rig.write(`${ROOT}/overlays/ops/own`, 'own');
    const first = await rig.apply({ install: [await rig.store('ops', '1.0.0', { a: lines('3') })] });
    expect(first.edits).toEqual(['a', 'own'].map((path) => ({ name: 'ops', path, outcome: 'overlaid' })));
    await rig.write('.claude/plugins/ops/a', `0\n${lines('3')}laid over\n`);
    await rig.write('.claude/plugins/ops/own', 'own, edited');
    const { edits } = await rig.apply({ install: [await rig.store('ops', '2.0.0', { a: lines('three') })] });
    expect(edits).toEqual([
      { name: 'ops', path: 'a', outcome: 'merged' },
      { name: 'ops', path: 'own', outcome: 'kept' },
    ]);
    expect(await rig.read('.claude/plugins/ops/a')).toBe(`0\n${lines('three')}laid over\n`);
    expect(await rig.read('.claude/plugins/ops/own')).toBe('own, edited');
    expect(await rig.read(`${ROOT}/overlays/ops/own`)).toBe('own');
  });

  it('a file that both sides made is a conflict, and one that was deleted and then changed by the version is told', async () => {
    await rig.apply({ install: [await rig.store('ops', '1.0.0', { a: 'a1', b: 'b1', gone: 'same' })] });
    await rig.write('.claude/plugins/ops/both', 'mine');
    for (const path of ['b', 'gone']) await rm(rig.path('.claude/plugins/ops', path));
    const { edits } = await rig.apply({
      install: [await rig.store('ops', '2.0.0', { a: 'a1', b: 'b2', gone: 'same', both: 'theirs' })],
    });
    expect(edits).toEqual([
      { name: 'ops', path: 'b', outcome: 'returned' },
      { name: 'ops', path: 'both', outcome: 'conflict' },
      { name: 'ops', path: 'gone', outcome: 'kept' },
    ]);
    expect(await inspect(rig.machine)).toMatchObject([{ conflicts: ['both'], edited: ['both'] }]);
    await rig.apply({
      install: [await rig.store('ops', '3.0.0', { a: 'a3', b: 'b2', gone: 'same', both: 'theirs 3' })],
    });
    expect(await inspect(rig.machine)).toMatchObject([{ conflicts: ['both'] }]);
    expect(await rig.read('.claude/plugins/ops/both')).toBe('mine');
    expect(await rig.read('.claude/plugins/ops/both.hv-new')).toBe('theirs 3');
  });

  it('a file of the user where the new version has a folder is kept aside', async () => {
    await rig.apply({ install: [await rig.store('ops', '1.0.0', { a: 'a' })] });
    await rig.write('.claude/plugins/ops/docs', 'mine');
    await rig.apply({ install: [await rig.store('ops', '2.0.0', { 'docs/x.md': 'x' })] });
    expect(await rig.read('.claude/plugins/ops/docs/x.md')).toBe('x');
    expect(await rig.read('.claude/plugins/ops/docs.hv-user')).toBe('mine');
  });

  it('damage is mended: a lost folder, manifest or pointer', async () => {
    const one = await rig.store('ops', '1.0.0', { a: 'a' });
    await rig.apply({ install: [one] });
    await rm(rig.path(ROOT, dirOf(one)), { recursive: true });
    expect((await inspect(rig.machine))[0]?.state).toBe('missing');
    expect((await inspect(rig.machine, { readBack: new Set(['other']) }))[0]?.state).toBe('missing');
    await rig.apply({ install: [one] });
    expect((await inspect(rig.machine))[0]?.state).toBe('verified');
    await rm(rig.path('.claude/plugins/ops/.claude-plugin/plugin.json'));
    expect((await inspect(rig.machine))[0]?.state).toBe('damaged');
    await rig.apply({ install: [one] });
    expect((await inspect(rig.machine))[0]?.state).toBe('verified');
    await rm(rig.machine.paths.marketplace);
    expect((await inspect(rig.machine))[0]?.state).toBe('damaged');
    await rig.apply({ install: [one] });
    expect((await inspect(rig.machine))[0]?.state).toBe('verified');
  });
});

describe('rollback', () => {
  it('flips back to the kept tree without blobs, sets a hold, and carries edits', async () => {
    const [one, two] = [
      await rig.store('ops', '1.0.0', { a: '1', b: 'b' }),
      await rig.store('ops', '2.0.0', { a: '2', b: 'b' }),
    ];
    await rig.apply({ install: [one] });
    await expect(planRollback(rig.machine, 'ops')).rejects.toMatchObject({ code: 'ROLLBACK_UNAVAILABLE' });
    await expect(planRollback(rig.machine, 'ghost')).rejects.toMatchObject({ code: 'NOT_INSTALLED' });
    await rig.apply({ install: [two] });
    const target = await planRollback(rig.machine, 'ops');
    expect(target).toMatchObject({ version: '1.0.0', dir: dirOf(one) });
    await rm(rig.machine.paths.blobs, { recursive: true });
    await rig.apply({ install: [one], reason: 'rollback' });
    const receipts = await readReceipts(rig.machine);
    expect(receipts.plugins.ops).toMatchObject({ version: '1.0.0', dir: dirOf(one), previous: [{ version: '2.0.0' }] });
    expect(receipts.holds.ops).toMatchObject({ version: '1.0.0', digest: one.record.digest });
    expect(await rig.read('.claude/plugins/ops/a')).toBe('1');

    await rig.write('.claude/plugins/ops/b', 'mine');
    await rig.store('ops', '1.0.0', { a: '1', b: 'b' });
    await rig.store('ops', '2.0.0', { a: '2', b: 'b' });
    await rig.apply({ install: [two], holds: { clear: ['ops'] } });
    expect(await rig.read('.claude/plugins/ops/a')).toBe('2');
    expect(await rig.read('.claude/plugins/ops/b')).toBe('mine');
    expect((await readReceipts(rig.machine)).holds).toEqual({});
  });

  it('goes back step by step to the oldest kept version, and never forwards', async () => {
    const versions = [];
    for (const version of ['1.1.0', '1.2.0', '1.3.0']) versions.push(await rig.store('ops', version, { a: version }));
    for (const install of versions) await rig.apply({ install: [install] });
    for (const version of ['1.2.0', '1.1.0']) {
      expect(await planRollback(rig.machine, 'ops')).toMatchObject({ version });
      const back = versions.filter((v) => v.record.version === version);
      await rig.apply({ install: back, reason: 'rollback' });
    }
    const forwards = await planRollback(rig.machine, 'ops').catch((thrown) => thrown);
    expect(forwards).toMatchObject({ code: 'ROLLBACK_UNAVAILABLE', message: expect.stringContaining('older') });
    expect(forwards.hint).toContain('--to VERSION');
    expect(await planRollback(rig.machine, 'ops', '1.3.0')).toMatchObject({ version: '1.3.0' });
  });

  it('leads away from the version that was seen, also where another process has updated the plugin since', async () => {
    const [one, two, three] = [
      await rig.store('ops', '1.0.0', { a: '1' }),
      await rig.store('ops', '2.0.0', { a: '2' }),
      await rig.store('ops', '3.0.0', { a: '3' }),
    ];
    for (const install of [one, two, three]) await rig.apply({ install: [install] });
    expect(await planRollback(rig.machine, 'ops')).toMatchObject({ version: '2.0.0' });
    expect(await planRollback(rig.machine, 'ops', undefined, '2.0.0')).toMatchObject({ version: '1.0.0' });
    expect(await planRollback(rig.machine, 'ops', '2.0.0', '2.0.0')).toMatchObject({ version: '2.0.0' });
    const [four, five] = [await rig.store('one', '4.0.0', { a: '4' }), await rig.store('one', '5.0.0', { a: '5' })];
    for (const install of [four, five]) await rig.apply({ install: [install] });
    const nowhere = planRollback(rig.machine, 'one', undefined, '4.0.0');
    await expect(nowhere).rejects.toMatchObject({ code: 'ROLLBACK_UNAVAILABLE' });
  });
});
