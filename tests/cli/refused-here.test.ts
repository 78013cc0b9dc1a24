// A plugin that does not fit this machine: every verb that a person may ask says why, with what to do, until it is mended.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';

let collective: Collective;
let home: TempHome;
const mine = () => join(home.home, '.claude', 'commands', 'go-w1.md');
const HINT = 'hv config set name_clash suffix';

beforeAll(async () => {
  collective = await Collective.start();
  for (const name of ['w1', 'p1']) {
    await collective.publish('base-memory-tools', {
      args: ['--all'],
      async edit(folder) {
        await rm(folder, { recursive: true });
        await mkdir(join(folder, '.claude-plugin'), { recursive: true });
        await mkdir(join(folder, 'commands'));
        const manifest = { name, version: '1.3.0', description: `Brings go-${name}`, author: { name: 'Tester' } };
        await writeFile(join(folder, '.claude-plugin', 'plugin.json'), JSON.stringify(manifest));
        await writeFile(join(folder, 'commands', `go-${name}.md`), `---\ndescription: ${name}\n---\n${name}\n`);
      },
    });
  }
  home = await collective.home('desk');
  await mkdir(join(home.home, '.claude', 'commands'), { recursive: true });
  await writeFile(mine(), 'mine');
  await hvOk(home, ['config', 'set', 'layout', 'loose']);
  await collective.join(home, 'desk');
});
afterAll(() => collective?.close());

it('install says which name is taken, and how to have it beside', async () => {
  const { code, stderr } = await hv(home, ['install', 'w1']);
  expect(stderr).toMatch(/^NAME_CLASH: w1 was not installed: .*go-w1/);
  expect(stderr).toContain(HINT);
  expect(code).toBe(69);
});

it('install of another plugin does not promise that a sync brings the refused one', async () => {
  const { code, stdout } = await hv(home, ['install', 'p1']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/w1 not installed → 1\.3\.0: .*NAME_CLASH: .*go-w1/);
});

it('sync, status and why give the reason with its hint', async () => {
  const { stdout, code } = await hv(home, ['sync']);
  expect(code).toBe(69);
  expect(stdout).toContain(HINT);
  expect((await hv(home, ['sync', '--json'])).json.problems).toEqual([
    expect.objectContaining({ name: 'w1', code: 'NAME_CLASH', hint: expect.stringContaining(HINT) }),
  ]);
  const row = (await hvOk(home, ['status'])).plugins.find((plugin: { name: string }) => plugin.name === 'w1');
  expect(row).toMatchObject({ state: 'waiting', notice: expect.stringMatching(/NAME_CLASH: /) });
  expect((await hv(home, ['status'])).stdout).toContain(HINT);
  expect((await hvOk(home, ['why', 'w1'])).here).toEqual([expect.stringMatching(/^1\.3\.0 .*NAME_CLASH: .*suffix/)]);
});

it('is forgotten once the hint was followed', async () => {
  await hvOk(home, ['config', 'set', 'name_clash', 'suffix']);
  await hvOk(home, ['sync']);
  expect(await readFile(mine(), 'utf8')).toBe('mine');
  const { plugins, in_step } = await hvOk(home, ['status']);
  expect(in_step).toBe(true);
  expect(plugins.map((plugin: { notice: unknown }) => plugin.notice)).toEqual(plugins.map(() => null));
  expect((await hvOk(home, ['why', 'w1'])).here).toEqual([]);
});

it('a layout that it keeps this machine from is told by sync, with its exit code, and by status; other verbs go on', async () => {
  await hvOk(home, ['config', 'set', 'layout', 'native']);
  await hvOk(home, ['sync']);
  await hvOk(home, ['config', 'set', 'name_clash', 'refuse']);
  await hvOk(home, ['config', 'set', 'layout', 'loose']);
  expect((await hv(home, ['status'])).stdout).toContain('layout native; `hv sync` goes over to loose');
  const text = 'plugins.layout: NAME_CLASH: the layout loose is wanted here and was refused, native stays: w1 brings';
  const { code, stdout } = await hv(home, ['sync']);
  expect(code).toBe(69);
  expect(stdout).toContain(text);
  expect(stdout).toContain(HINT);
  const told = (await hv(home, ['status'])).stdout;
  expect(told).toMatch(/· not in step/);
  expect(told).toContain(text);
  expect((await hv(home, ['doctor'])).stdout).toMatch(/! layout: NAME_CLASH: .*loose.*go-w1.* → .*suffix/);
  expect((await hv(home, ['update', 'p1'])).code).toBe(0);
  expect(await hvOk(home, ['remove', 'p1'])).toMatchObject({ removed: ['p1'] });
});
