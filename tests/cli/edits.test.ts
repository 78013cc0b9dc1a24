// What people do to installed plugins, on the command line: diff, repair, conflicts, backups, overlays; and what Claude Code says
// of what came.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';

let collective: Collective;
let home: TempHome;
const at = (path: string) => join(home.home, '.claude', 'plugins', 'notes', path);
const text = Array.from({ length: 9 }, (_, i) => `line ${i}\n`).join('');

const publish = (version: string, body: string) =>
  collective.publish('base-memory-tools', {
    args: ['--all'],
    async edit(folder) {
      await rm(folder, { recursive: true });
      await mkdir(join(folder, '.claude-plugin'), { recursive: true });
      await mkdir(join(folder, 'commands'));
      const manifest = { name: 'notes', version, description: 'Notes', author: { name: 'T' } };
      await writeFile(join(folder, '.claude-plugin', 'plugin.json'), JSON.stringify(manifest));
      await writeFile(join(folder, 'commands', 'a.md'), `---\ndescription: A\n---\n${body}`);
      await writeFile(join(folder, 'commands', 'b.md'), '---\ndescription: B\n---\nb\n');
    },
  });
const stateOf = async () => (await hvOk(home, ['status'])).plugins.find((p: { name: string }) => p.name === 'notes');
const published = (body: string) => `---\ndescription: A\n---\n${body}`;

beforeAll(async () => {
  collective = await Collective.start();
  await publish('1.0.0', text);
  home = await collective.machine('editor');
  await hvOk(home, ['sync']);
});
afterAll(() => collective?.close());

describe('edits', () => {
  it('are shown by diff; one file and all of them can be put back, and are kept', async () => {
    expect((await hvOk(home, ['diff', 'notes'])).edits).toEqual([]);
    await writeFile(at('commands/a.md'), published(text.replace('line 4', 'my line 4')));
    await writeFile(at('commands/mine.md'), 'mine\n');
    await rm(at('commands/b.md'));
    const { edits } = await hvOk(home, ['diff', 'notes']);
    expect(edits.map(({ path, kind }: { path: string; kind: string }) => [path, kind])).toEqual([
      ['commands/a.md', 'changed'],
      ['commands/b.md', 'deleted'],
      ['commands/mine.md', 'added'],
    ]);
    expect(edits[0].diff).toContain('-line 4\n+my line 4');

    const wrong = await hv(home, ['repair', 'notes', 'commands/none.md', '--json']);
    expect(wrong.json.error.code).toBe('NOT_FOUND');
    expect(await hvOk(home, ['repair', 'notes', 'commands/b.md'])).toMatchObject({ paths: ['commands/b.md'] });
    expect(await readFile(at('commands/b.md'), 'utf8')).toContain('description: B');
    expect(await readFile(at('commands/a.md'), 'utf8')).toContain('my line 4');

    await rm(at('commands/b.md'));
    const one = await hv(home, ['repair', 'notes', 'commands/b.md']);
    expect(one.stdout).not.toContain('is as it was published');
    expect(one.stdout).toContain('commands/a.md stays as it was edited here');

    expect((await hv(home, ['repair', 'notes'])).stdout).toContain('is as it was published');
    expect(await readFile(at('commands/a.md'), 'utf8')).toBe(published(text));
    expect(await stateOf()).toMatchObject({ state: 'verified', edited: [], missing: [] });
    const rows = await hvOk(home, ['backups']);
    const kept = rows.find((row: { kind: string; files: string[] }) => row.files.includes('commands/mine.md'));
    expect(kept).toMatchObject({ kind: 'edits', files: expect.arrayContaining(['commands/a.md']) });

    await hvOk(home, ['backups', 'restore', kept.id]);
    await hvOk(home, ['repair', 'notes', '--json']);
    const none = await hv(home, ['backups', 'restore', 'nothing', '--json']);
    expect(none.json.error.code).toBe('NOT_FOUND');
    expect((await hv(home, ['diff', 'unknown', '--json'])).json.error.code).toBe('NOT_INSTALLED');
    await rm(join(home.home, '.claude/plugins/.haivemind/overlays'), { recursive: true, force: true });
  });

  it('that an update meets are listed with the commands that settle them', async () => {
    await hvOk(home, ['repair', 'notes']);
    await writeFile(at('commands/a.md'), published(text.replace('line 4', 'my line 4')));
    await publish('1.1.0', text.replace('line 4', 'their line 4'));
    await hvOk(home, ['sync']);
    const [conflict] = (await stateOf()).conflicts;
    expect(conflict).toEqual({
      path: 'commands/a.md',
      take_published: 'hv repair notes commands/a.md',
      keep_mine: 'hv repair notes commands/a.md --keep',
    });
    await hvOk(home, conflict.keep_mine.split(' ').slice(1));
    expect((await stateOf()).conflicts).toEqual([]);
    expect(await readFile(at('commands/a.md'), 'utf8')).toContain('my line 4');
    await expect(readFile(at('commands/a.md.hv-new'))).rejects.toThrow();
  });

  it('are replaced by an update only where a person says so', async () => {
    await publish('1.2.0', text.replace('line 4', 'their newer line 4'));
    await hvOk(home, ['update', 'notes', '--discard-edits']);
    expect(await readFile(at('commands/a.md'), 'utf8')).toContain('their newer line 4');
    expect(await stateOf()).toMatchObject({ version: '1.2.0', state: 'verified' });
  });

  it('a restored settings file is the backup, and what was there becomes one', async () => {
    const settings = join(home.home, '.claude', 'settings.json');
    const backup = join(home.home, '.claude/plugins/.haivemind/backups/settings.json');
    await writeFile(backup, '{"model":"opus"}');
    const before = await readFile(settings, 'utf8');
    await hvOk(home, ['backups', 'restore', 'settings.json']);
    expect(await readFile(settings, 'utf8')).toBe('{"model":"opus"}');
    expect(await readFile(backup, 'utf8')).toBe(before);
    await hvOk(home, ['doctor', '--fix']);
    expect(JSON.parse(await readFile(settings, 'utf8'))).toMatchObject({
      model: 'opus',
      enabledPlugins: { 'notes@collective': true },
    });
  });
});

describe('what Claude Code says of a plugin', () => {
  const answers = async (errors: Record<string, string[]>) => {
    const rows = ['notes', 'haivemind-core'].map((name) => {
      return {
        id: `${name}@collective`,
        enabled: true,
        ...(errors[name] === undefined ? {} : { errors: errors[name] }),
      };
    });
    await home.fakeProgram('claude', `cat <<'E'\n${JSON.stringify(rows)}\nE`);
  };

  it('is its state; what just came and does not load goes back, and is not tried again by itself', async () => {
    expect((await hvOk(home, ['loaded'])) ?? null).toBeNull();
    await answers({});
    expect((await hvOk(home, ['loaded'])).loaded.sort()).toEqual(['haivemind-core', 'notes']);
    expect(await stateOf()).toMatchObject({ state: 'loaded' });
    await rm(join(home.bin, 'claude'));

    await publish('2.0.0', text);
    await hvOk(home, ['sync']);
    await answers({ notes: ['Hook matcher is wrong'] });
    const asked = await hv(home, ['loaded', '--json']);
    expect(asked).toMatchObject({
      code: 69,
      json: { failed: [{ name: 'notes', version: '2.0.0', backTo: '1.2.0', left: false }] },
    });
    await rm(join(home.bin, 'claude'));
    const { plugins, refused } = await hvOk(home, ['status']);
    expect(plugins.find((p: { name: string }) => p.name === 'notes')).toMatchObject({ version: '1.2.0' });
    expect(refused).toEqual([expect.objectContaining({ reason: expect.stringContaining('Hook matcher is wrong') })]);
    await hvOk(home, ['doctor', '--fix']);
    expect(await stateOf()).toMatchObject({ version: '1.2.0' });
  });

  it('is only noted of what loaded before', async () => {
    await answers({});
    await hvOk(home, ['loaded']);
    await answers({ notes: ['gone wrong'] });
    expect((await hv(home, ['loaded', '--json'])).json.failed).toMatchObject([{ name: 'notes', left: true }]);
    expect(await stateOf()).toMatchObject({ version: '1.2.0', state: 'failed' });
    await rm(join(home.bin, 'claude'));
  });
});

it('removal keeps edits as an overlay unless they are purged', async () => {
  await hvOk(home, ['remove', 'notes', '--purge']);
  await hvOk(home, ['install', 'notes@1.0.0']);
  await writeFile(at('commands/a.md'), 'mine again');
  const { warnings } = await hvOk(home, ['remove', 'notes']);
  expect(warnings).toEqual([expect.stringContaining('overlays/notes')]);
  await hvOk(home, ['install', 'notes@1.0.0']);
  expect(await readFile(at('commands/a.md'), 'utf8')).toBe('mine again');
  await hvOk(home, ['remove', 'notes', '--purge']);
  await hvOk(home, ['install', 'notes@1.0.0']);
  expect(await readFile(at('commands/a.md'), 'utf8')).toBe(published(text));
});

it('what an overlay lays over a plugin is told, shown, and taken away again', async () => {
  const own = `${text}of this machine\n`;
  await writeFile(at('commands/a.md'), published(own));
  await hvOk(home, ['remove', 'notes']);
  const back = await hv(home, ['install', 'notes@1.0.0']);
  expect(back.stdout).toContain('notes/commands/a.md: this machine');
  const [shown] = (await hvOk(home, ['diff', 'notes'])).edits;
  expect(shown).toMatchObject({ path: 'commands/a.md', kind: 'changed', overlay: true });
  expect(shown.diff).toContain('+of this machine');
  expect(await stateOf()).toMatchObject({ state: 'verified', edited: [], overlaid: ['commands/a.md'] });

  const whole = await hv(home, ['repair', 'notes']);
  expect(whole.stdout).toContain('hv repair notes commands/a.md takes it away');
  expect(await readFile(at('commands/a.md'), 'utf8')).toBe(published(own));
  expect((await hv(home, ['repair', 'notes', 'commands/b.md', '--json'])).json.error).toMatchObject({
    code: 'NOT_FOUND',
    hint: expect.stringContaining('hv diff notes'),
  });
  await hvOk(home, ['repair', 'notes', 'commands/a.md']);
  expect(await readFile(at('commands/a.md'), 'utf8')).toBe(published(text));
  expect((await hvOk(home, ['diff', 'notes'])).edits).toEqual([]);

  const rows = await hvOk(home, ['backups']);
  const kept = rows.filter((row: { files: string[] }) => row.files.includes('commands/a.md')).at(-1);
  await hvOk(home, ['backups', 'restore', kept.id]);
  await hvOk(home, ['repair', 'notes']);
  expect(await stateOf()).toMatchObject({ overlaid: expect.arrayContaining(['commands/a.md']) });
  await rm(join(home.home, '.claude/plugins/.haivemind/overlays'), { recursive: true, force: true });
  await hvOk(home, ['repair', 'notes']);
  expect(await readFile(at('commands/a.md'), 'utf8')).toBe(published(text));
});
