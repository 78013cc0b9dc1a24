import { chmod, lstat, mkdir, readdir, readFile, readlink, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recover } from '../../server/src/machine/change/transaction.ts';
import { leaveMachine } from '../../server/src/machine/leave.ts';
import { withLock } from '../../server/src/machine/processes/lock.ts';
import { makeRig, type Rig } from './rig.ts';

let rig: Rig;

beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

async function joinAndUse(): Promise<void> {
  await withLock(rig.machine, 'sync', async () => {
    const core = await rig.store('haivemind-core', '1.0.0', { 'commands/hv.md': 'hv' }, { globalCommands: true });
    await rig.apply({ install: [core, await rig.store('ops', '1.0.0', { a: '1' })] });
    await rig.apply({ install: [await rig.store('ops', '2.0.0', { a: '2' })] });
    await rig.apply({ remove: ['ops'] });
    await rig.apply({ install: [await rig.store('ops', '2.0.0', { a: '2' })] });
  });
}

const leave = () => withLock(rig.machine, 'leave', () => leaveMachine(rig.machine));

/** The whole HOME, nothing aside. */
async function everything(): Promise<string[]> {
  const entries = await readdir(rig.home, { recursive: true, withFileTypes: true });
  return Promise.all(
    entries.map(async (entry) => {
      const path = join(entry.parentPath, entry.name);
      if (entry.isDirectory()) return `${path}/`;
      if (entry.isSymbolicLink()) return `${path} -> ${await readlink(path)}`;
      return `${path} ${((await lstat(path)).mode & 0o777).toString(8)} ${await readFile(path, 'latin1')}`;
    }),
  ).then((lines) => lines.sort());
}

const ODD = '{\r\n\t"z" :1,\r\n   "enabledPlugins":{ "x@y":true },\r\n\t"a":{}}';

describe('leaving', () => {
  it.each<[string, Record<string, string>]>([
    ['an empty HOME', {}],
    ['a HOME with an empty object', { '.claude/settings.json': '{}' }],
    ['odd space and no final newline', { '.claude/settings.json': ODD, '.claude/commands/x.md': 'x' }],
    ['a BOM', { '.claude/settings.json': `\uFEFF{ }\n` }],
    ['empty parents', { '.claude/settings.json': '{"enabledPlugins":{\n},"extraKnownMarketplaces":{ }}' }],
    ['the stock core', { '.claude/settings.json': '{"enabledPlugins":{"haivemind-core@haivemind":true}}' }],
    [
      'the list of the client',
      { '.claude/plugins/installed_plugins.json': '{"version":2,"plugins":{"x@y":[{"scope":"user"}]}}' },
    ],
  ])('gives back %s byte for byte', async (_, files) => {
    for (const [path, text] of Object.entries(files)) await rig.write(path, text);
    const before = await everything();
    await joinAndUse();
    expect(await everything()).not.toEqual(before);
    expect((await leave()).warnings).toEqual([]);
    expect(await everything()).toEqual(before);
  });

  it('gives back an empty ~/.claude, and settings that are a link', async () => {
    await rig.write('dotfiles/settings.json', ODD);
    await mkdir(rig.path('.claude'));
    await symlink('../dotfiles/settings.json', rig.path('.claude/settings.json'));
    await chmod(rig.path('dotfiles/settings.json'), 0o640);
    const before = await everything();
    await joinAndUse();
    expect((await lstat(rig.path('.claude/settings.json'))).isSymbolicLink()).toBe(true);
    expect(await rig.read('dotfiles/settings.json')).toContain('ops@collective');
    await leave();
    expect(await everything()).toEqual(before);
  });

  it.each<[string, string, Record<string, string>]>([
    ['up from the real folder', 'dotfiles/shared.json', { 'dotfiles/claude/settings.json': '../shared.json' }],
    [
      'over several hops',
      'elsewhere/shared.json',
      {
        'dotfiles/claude/settings.json': '../more/settings.json',
        'dotfiles/more': '../elsewhere/deep',
        'elsewhere/deep/settings.json': '../shared.json',
      },
    ],
    [
      'up from a folder that is a link',
      'elsewhere/shared.json',
      { 'dotfiles/claude/settings.json': 'side/../shared.json', 'dotfiles/claude/side': '../../elsewhere/deep' },
    ],
  ])('settings that are a link below a ~/.claude that is one are followed %s', async (_, real, links) => {
    for (const dir of ['dotfiles/claude', 'elsewhere/deep']) await mkdir(rig.path(dir), { recursive: true });
    await symlink('dotfiles/claude', rig.path('.claude'));
    for (const [path, text] of Object.entries(links)) await symlink(text, rig.path(path));
    // A link whose target does not exist yet, then one whose does; a stranger's file lies where a reader of mere text would look.
    for (const files of [{}, { [real]: ODD, 'shared.json': ODD, 'dotfiles/claude/shared.json': ODD }]) {
      for (const [path, text] of Object.entries(files)) await rig.write(path, text);
      const before = await everything();
      const at = real.lastIndexOf('/') + 1;
      const prepared = `${real.slice(0, at)}.${real.slice(at)}.hv-tmp`;
      await rig.write(prepared, 'of a crash');
      await withLock(rig.machine, 'sync', () => recover(rig.machine));
      await expect(rig.read(prepared)).rejects.toMatchObject({ code: 'ENOENT' });
      await joinAndUse();
      expect(await rig.read(real)).toContain('ops@collective');
      expect(await rig.read('.claude/settings.json')).toContain('ops@collective');
      for (const path of Object.keys(files)) if (path !== real) expect(await rig.read(path)).toBe(ODD);
      expect((await lstat(rig.path('dotfiles/claude/settings.json'))).isSymbolicLink()).toBe(true);
      await leave();
      expect(await everything()).toEqual(before);
    }
  });

  it('takes only our keys where the client wrote in between', async () => {
    await rig.write('.claude/settings.json', '{"model":"opus"}');
    await joinAndUse();
    const now = JSON.parse(await rig.read('.claude/settings.json'));
    now.enabledPlugins['x@y'] = true;
    now.pluginConfigs = { a: 1 };
    await rig.write('.claude/settings.json', JSON.stringify(now, null, 2));
    await leave();
    expect(JSON.parse(await rig.read('.claude/settings.json'))).toEqual({
      model: 'opus',
      enabledPlugins: { 'x@y': true },
      pluginConfigs: { a: 1 },
    });
  });

  it('keeps what a person changed, and says where', async () => {
    await joinAndUse();
    await rig.write('.claude/plugins/ops/a', 'mine');
    await rig.write('.claude/plugins/.haivemind/overlays/ops/b', 'over');
    const { warnings } = await leave();
    expect(warnings).toEqual([expect.stringContaining('2 file(s)')]);
    const files = (await everything()).filter((line) => !line.endsWith('/'));
    expect(files.map((line) => line.split(' ').at(-1)).sort()).toEqual(['mine', 'over']);
  });

  it('leaves nothing done where settings.json is read-only or no JSON', async () => {
    await joinAndUse();
    const before = await rig.snapshot();
    await chmod(rig.path('.claude/settings.json'), 0o444);
    await expect(leave()).rejects.toMatchObject({ code: 'READ_ONLY' });
    await chmod(rig.path('.claude/settings.json'), 0o600);
    expect(await rig.snapshot()).toEqual(before);
    const text = await rig.read('.claude/settings.json');
    await rig.write('.claude/settings.json', `${text}//`);
    await expect(leave()).rejects.toMatchObject({ code: 'SETTINGS_INVALID' });
    await rig.write('.claude/settings.json', text);
    expect(await rig.snapshot()).toEqual(before);
  });
});
