import { existsSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { showDev, stopDev } from '../../server/src/machine/dev-override.ts';
import { inspect } from '../../server/src/machine/drift.ts';
import { leaveMachine } from '../../server/src/machine/leave.ts';
import { noFileNotes, readReceipts, updateReceipts } from '../../server/src/machine/receipts/index.ts';
import { makeRig, type Rig } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
  await rig.write(SETTINGS, MINE);
});
afterEach(() => rig.close());

const SETTINGS = '.claude/settings.json';
const MINE = '{"model":"opus"}';

/** As `hv dev FOLDER --once` does. */
async function show(name: string): Promise<void> {
  const files = [{ path: 'commands/go.md', bytes: Buffer.from(name), executable: false }];
  await showDev(rig.machine, { name, version: '0.0.1', description: name, files }, `/work/${name}`);
}
const settings = async () => JSON.parse(await rig.read(SETTINGS));
const keys = async () => Object.keys((await settings()).enabledPlugins ?? {});

it('shows a folder in the place of a file, and a file in the place of a folder', async () => {
  const showFiles = (...paths: string[]) => {
    const files = paths.map((path) => ({ path, bytes: Buffer.from(path), executable: false }));
    return showDev(rig.machine, { name: 'd1', version: '0.0.1', description: '', files }, '/work/d1');
  };
  const there = (path: string) => rig.read(`.claude/plugins/.haivemind/dev/d1/${path}`);
  await showFiles('notes', 'skills/a/b/SKILL.md');
  expect(await showFiles('notes/more/a.md', 'skills/a')).toEqual({
    written: ['notes/more/a.md', 'skills/a'],
    removed: ['notes', 'skills/a/b/SKILL.md'],
  });
  expect([await there('notes/more/a.md'), await there('skills/a')]).toEqual(['notes/more/a.md', 'skills/a']);
  await showFiles('notes', 'skills/a/b/SKILL.md');
  expect([await there('notes'), await there('skills/a/b/SKILL.md')]).toEqual(['notes', 'skills/a/b/SKILL.md']);
});

describe('several folders that are shown', () => {
  it('all end at once, and settings.json is as before', async () => {
    for (const name of ['d3', 'd4', 'd5']) await show(name);
    expect(await keys()).toEqual(['d3@collective', 'd4@collective', 'd5@collective']);
    expect(await stopDev(rig.machine)).toEqual(['d3', 'd4', 'd5']);
    expect(await rig.read(SETTINGS)).toBe(MINE);
    expect((await readReceipts(rig.machine)).dev).toBeUndefined();
    expect(existsSync(rig.path('.claude/plugins/.haivemind/dev'))).toBe(false);
    expect(await stopDev(rig.machine)).toEqual([]);
  });

  it.each([
    ['d3', 'd4'],
    ['d4', 'd3'],
  ])('end one by one, %s first', async (first, second) => {
    await show('d3');
    await show('d4');
    expect(await stopDev(rig.machine, (name) => name === first)).toEqual([first]);
    expect(await keys()).toEqual([`${second}@collective`]);
    expect(await settings()).toHaveProperty('extraKnownMarketplaces.collective');
    await show(second);
    expect(await stopDev(rig.machine, (name) => name === second)).toEqual([second]);
    expect(await rig.read(SETTINGS)).toBe(MINE);
  });

  it('end with leaving, on a machine that has plugins', async () => {
    await rig.apply({ install: [await rig.store('ops', '1.0.0', { a: '1' })] });
    await show('d3');
    await show('ops');
    await leaveMachine(rig.machine);
    expect(await rig.read(SETTINGS)).toBe(MINE);
    expect(existsSync(rig.path('.claude/plugins/.haivemind'))).toBe(false);
  });

  it('make a settings.json that goes with the last of them', async () => {
    const bare = await makeRig();
    rig = bare;
    await show('d3');
    await show('d4');
    await stopDev(rig.machine, (name) => name === 'd3');
    expect(existsSync(rig.path(SETTINGS))).toBe(true);
    await stopDev(rig.machine);
    expect(existsSync(rig.path(SETTINGS))).toBe(false);
  });
});

describe('a folder that is shown beside installed plugins', () => {
  it('was there before them: leaving gives settings.json back all the same', async () => {
    await show('d3');
    await rig.apply({ install: [await rig.store('ops', '1.0.0', { a: '1' })] });
    await leaveMachine(rig.machine);
    expect(await rig.read(SETTINGS)).toBe(MINE);
  });

  it('stays shown when the last of them goes, and settings.json comes back when it ends', async () => {
    await rig.apply({ install: [await rig.store('ops', '1.0.0', { a: '1' })] });
    await show('d3');
    await rig.apply({ remove: ['ops'] });
    expect(await keys()).toEqual(['d3@collective']);
    expect(await settings()).toHaveProperty('extraKnownMarketplaces.collective');
    await stopDev(rig.machine);
    expect(await rig.read(SETTINGS)).toBe(MINE);
  });

  it('stays shown when the one that it stands in for goes', async () => {
    await rig.apply({ install: [await rig.store('ops', '1.0.0', { a: '1' })] });
    await show('ops');
    await rig.apply({ remove: ['ops'] });
    expect(await keys()).toEqual(['ops@collective']);
    await stopDev(rig.machine);
    expect(await rig.read(SETTINGS)).toBe(MINE);
  });

  it('leaves what is installed enabled, and what was switched off as it was', async () => {
    await rig.apply({ install: [await rig.store('ops', '1.0.0', { a: '1' })] });
    const on = await rig.read(SETTINGS);
    await show('ops');
    await stopDev(rig.machine);
    expect(await rig.read(SETTINGS)).toBe(on);
    const off = on.replace('"ops@collective":true', '"ops@collective":false');
    expect(off).not.toBe(on);
    await rig.write(SETTINGS, off);
    await show('ops');
    expect((await settings()).enabledPlugins).toEqual({ 'ops@collective': true });
    await stopDev(rig.machine);
    expect(await rig.read(SETTINGS)).toBe(off);
    expect(await inspect(rig.machine)).toMatchObject([{ name: 'ops', state: 'disabled' }]);
  });
});

describe('a folder that an earlier program shows', () => {
  /** It kept what it wrote into settings.json with the folder. */
  const asEarlier = (name: string) =>
    updateReceipts(rig.machine, (receipts) => {
      const { [name]: tree } = receipts.dev ?? {};
      if (tree === undefined) throw new Error('not shown');
      tree.settings = receipts.notes.settings;
      receipts.notes.settings = noFileNotes();
    });

  it('gives back what it stood in for', async () => {
    const off = JSON.stringify({ enabledPlugins: { 'd3@collective': false } });
    await rig.write(SETTINGS, off);
    await show('d3');
    await asEarlier('d3');
    expect(await keys()).toEqual(['d3@collective']);
    await stopDev(rig.machine);
    expect(await rig.read(SETTINGS)).toBe(off);
  });

  it('takes the settings.json along that was made for it, also with one that was shown since', async () => {
    rig = await makeRig();
    await show('d3');
    await asEarlier('d3');
    await show('d4');
    await stopDev(rig.machine, (name) => name === 'd3');
    expect(await keys()).toEqual(['d4@collective']);
    await stopDev(rig.machine);
    expect(existsSync(rig.path(SETTINGS))).toBe(false);
  });
});

describe("a person's own marketplace `collective`", () => {
  const theirs = '{"extraKnownMarketplaces":{"collective":{"source":{"source":"github","repo":"me/mp"}}}}';

  it('is not taken for ours: nothing is shown', async () => {
    await rig.write(SETTINGS, theirs);
    await expect(show('d3')).rejects.toMatchObject({ code: 'NAME_CLASH', message: expect.stringContaining('me/mp') });
    expect(await rig.read(SETTINGS)).toBe(theirs);
    expect(existsSync(rig.path('.claude/plugins/.haivemind/dev'))).toBe(false);
  });

  it('that came while a folder was shown stays when that ends', async () => {
    await show('d3');
    await rig.write(SETTINGS, theirs);
    expect(await stopDev(rig.machine)).toEqual(['d3']);
    expect(await settings()).toEqual(JSON.parse(theirs));
  });
});
