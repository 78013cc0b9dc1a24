// `hv leave` undoes join and everything after it: byte for byte where only we wrote, key for key where others wrote too.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Collective, DEVOPS } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';
import { treeSnapshot } from '../support/tree-snapshot.ts';
import { claudePluginOk, listPlugins } from './harness/claude-plugin.ts';
import { scriptedSession } from './harness/with-model.ts';

let collective: Collective;
beforeAll(async () => {
  collective = await Collective.start();
  await collective.publish('base-memory-tools', { args: ['--groups', 'orchestrators'] });
  await collective.publish('devops-essentials');
});
afterAll(() => collective?.close());

let count = 0;
/** A HOME with this settings.json; undefined: none, and no ~/.claude either. */
async function homeWith(settings: string | undefined): Promise<TempHome> {
  count += 1;
  const home = await collective.home(`leaver-${count}`);
  if (settings !== undefined) {
    await mkdir(join(home.home, '.claude', 'commands'), { recursive: true });
    await writeFile(join(home.home, '.claude', 'settings.json'), settings, { mode: 0o640 });
    await writeFile(join(home.home, '.claude', 'commands', 'mine.md'), 'My own command.\n');
  }
  return home;
}
const settingsOf = (home: TempHome) => readFile(join(home.home, '.claude', 'settings.json'), 'utf8');
const joinAndInstall = async (home: TempHome) => {
  await collective.join(home, `leaver-${count}`, DEVOPS);
  await hvOk(home, ['sync']);
};

describe('where only we wrote, the whole HOME is as it was before join', () => {
  const cases: Record<string, string | undefined> = {
    'no ~/.claude at all': undefined,
    'an empty object': '{}',
    'an empty object over two lines, no final newline': '{\n}',
    'two spaces': '{\n  "model": "opus",\n  "permissions": {\n    "allow": ["Bash(ls:*)"]\n  }\n}\n',
    'three spaces and no final newline': '{\n   "model": "opus",\n   "env": { "A": "1" }\n}',
    'tabs and CRLF': '{\r\n\t"model": "opus",\r\n\t"cleanupPeriodDays": 30\r\n}\r\n',
    'one line': '{"zeta":1,"alpha":{"b":[1,2,{"c":null}]},"model":"opus"}',
    'a byte order mark': '\uFEFF{\n  "model": "opus"\n}\n',
    'keys in an order of their own, and blank lines':
      '{\n\n  "model" : "opus"  ,\n\n"env":{  }  ,\n    "alpha":true\n\n\n}\n\n',
    'somebody else’s marketplaces and plugins':
      '{\n  "enabledPlugins": {\n    "lint@acme": true,\n    "old@acme": false\n  },\n  "extraKnownMarketplaces": {\n    "acme": { "source": { "source": "directory", "path": "/nowhere" } }\n  },\n  "model": "opus"\n}\n',
    'empty blocks that are not ours': '{\n  "enabledPlugins": {},\n  "extraKnownMarketplaces": {\n  }\n}\n',
  };
  for (const [name, settings] of Object.entries(cases)) {
    it(name, async () => {
      const home = await homeWith(settings);
      const before = await treeSnapshot(home.home);
      await joinAndInstall(home);
      const joined = JSON.parse((await settingsOf(home)).replace(/^\uFEFF/, '')) as { enabledPlugins: unknown };
      expect(joined.enabledPlugins).toMatchObject({
        'haivemind-core@collective': true,
        'base-memory-tools@collective': true,
        'devops-essentials@collective': true,
      });
      await hvOk(home, ['leave']);
      if (settings !== undefined) expect(await settingsOf(home)).toBe(settings);
      expect(await treeSnapshot(home.home)).toEqual(before);
    });
  }

  it('and after updates, a rollback, a removal and a second join', async () => {
    const home = await homeWith('{\n    "model": "opus"}');
    const before = await treeSnapshot(home.home);
    await joinAndInstall(home);
    await collective.publish('base-memory-tools', { version: '1.0.1', args: ['--groups', 'orchestrators'] });
    await hvOk(home, ['sync']);
    await hvOk(home, ['rollback', 'base-memory-tools']);
    await hvOk(home, ['remove', 'devops-essentials']);
    await hvOk(home, ['leave']);
    expect(await treeSnapshot(home.home)).toEqual(before);
    await joinAndInstall(home);
    await hvOk(home, ['leave']);
    expect(await treeSnapshot(home.home)).toEqual(before);
  });
});

it('settings.json that is no JSON is refused and left alone, and leave still cleans up', async () => {
  const home = await homeWith('{ "model": "opus", ');
  const before = await treeSnapshot(home.home);
  const { hub } = collective;
  const joining = await hv(home, ['join', hub.url, '--token', hub.joinToken, '--name', 'torn', '--json']);
  expect(joining.json.error.code).toBe('SETTINGS_INVALID');
  expect(await settingsOf(home)).toBe('{ "model": "opus", ');
  await hv(home, ['leave', '--json']);
  expect(await treeSnapshot(home.home)).toEqual(before);
});

it('where the client wrote too, only our keys are gone', async () => {
  const original = {
    model: 'opus',
    enabledPlugins: { 'lint@acme': false },
    permissions: { allow: ['Bash(ls:*)'] },
  };
  const home = await homeWith(JSON.stringify(original));
  await joinAndInstall(home);
  await scriptedSession(home);
  await claudePluginOk(home, 'disable', 'devops-essentials@collective');
  const rewritten = await settingsOf(home);
  expect(JSON.parse(rewritten).enabledPlugins['devops-essentials@collective']).toBe(false);

  await hvOk(home, ['leave']);
  expect(JSON.parse(await settingsOf(home))).toEqual(original);
  expect(await listPlugins(home)).toEqual([]);
  // The client keeps lists of its own; ours is in none of them.
  for (const file of ['installed_plugins.json', 'known_marketplaces.json']) {
    expect(await readFile(join(home.home, '.claude', 'plugins', file), 'utf8').catch(() => '')).not.toContain(
      'collective',
    );
  }
  // What is left by our name is the client's own: its logs, transcripts, and the empty data folder it makes for a plugin.
  const left = await treeSnapshot(home.home, (path) => path === '.cache' || path === '.claude/projects');
  const named = Object.entries(left).filter(
    ([path, what]) => /haivemind|collective/.test(path) && !what.startsWith('dir'),
  );
  expect(named).toEqual([]);
  const after = await scriptedSession(home);
  expect(after.init.plugins).toEqual([]);
  expect(after.init.slash_commands.filter((command) => command.includes('hv-'))).toEqual([]);
});

it('what the user put beside ours stays', async () => {
  const home = await homeWith('{}');
  await joinAndInstall(home);
  const mine = join(home.home, '.claude', 'plugins', 'my-notes.txt');
  await writeFile(mine, 'mine\n');
  await hvOk(home, ['leave']);
  expect(await readFile(mine, 'utf8')).toBe('mine\n');
});

it('leaving works, with a warning, when the hub is gone', async () => {
  const home = await homeWith('{"model":"opus"}');
  const before = await treeSnapshot(home.home);
  await joinAndInstall(home);
  await collective.hub.kill();
  const left = await hv(home, ['leave']);
  expect(left.code).toBe(0);
  expect(`${left.stdout}${left.stderr}`).toMatch(/hub/i);
  expect(await treeSnapshot(home.home)).toEqual(before);
});
