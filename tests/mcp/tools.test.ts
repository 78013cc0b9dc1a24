import { access, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Collective, DEVOPS } from '../support/collective.ts';
import { hvOk } from '../support/hv.ts';
import { type McpSession, startMcp } from '../support/mcp-client.ts';
import { pluginCopy, REPOSITORY } from '../support/repository.ts';
import type { TempHome } from '../support/temp-home.ts';

/** Every tool, on a real hub, as one story: an author beside the hub and a machine that joined. */
let copy: Awaited<ReturnType<typeof pluginCopy>>;
let collective: Collective;
let home: TempHome;
let author: McpSession;
let machine: McpSession;

const fixture = (name: string) => join(REPOSITORY, 'tests', 'fixtures', name);
const installed = (name: string) => join(home.home, '.claude', 'plugins', name, '.claude-plugin', 'plugin.json');

beforeAll(async () => {
  copy = await pluginCopy();
  collective = await Collective.start();
  home = await collective.machine('b', DEVOPS);
  // Else the live channel would be first with some of what these tests ask for.
  await hvOk(home, ['config', 'set', 'plugins.auto_sync', 'false']);
  author = await startMcp(copy.root, collective.operator);
  machine = await startMcp(copy.root, home);
});
afterAll(async () => {
  await author?.close();
  await machine?.close();
  await collective?.close();
  await copy?.remove();
});

it('create_plugin writes a folder once', async () => {
  const made = await author.call('create_plugin', {
    name: 'made-here',
    components: ['commands', 'skills'],
    description: 'Shows what create makes',
  });
  expect(made.isError).toBe(false);
  expect(made.data.path).toBe(join(collective.operator.project, 'made-here'));
  expect(made.data.files).toContain('.claude-plugin/plugin.json');
  for (const path of made.data.files) await access(join(made.data.path, path));
  expect((await author.call('create_plugin', { name: 'made-here' })).text).toMatch(/^PATH_OCCUPIED: /);
  expect((await author.call('create_plugin', { name: 'Not A Name' })).text).toMatch(/^NAME_INVALID: /);
});

it('~ in a path is the home, for create_plugin and register_plugin', async () => {
  const folder = join(collective.operator.home, 'plugins of mine', 'at-home');
  const made = await author.call('create_plugin', { name: 'at-home', path: '~/plugins of mine/at-home' });
  expect(made.data.path).toBe(folder);
  await access(join(folder, '.claude-plugin', 'plugin.json'));
  await expect(access(join(collective.operator.project, '~'))).rejects.toThrow();
  const { data } = await author.call('register_plugin', { plugin_path: '~/plugins of mine/at-home' });
  expect(data).toMatchObject({ name: 'at-home', created: true });
  expect((await author.call('register_plugin', { plugin_path: '' })).text).toMatch(/^BAD_REQUEST: /);
  const nothing = await author.call('register_plugin', { plugin_path: '~/nothing here' });
  expect(nothing.text).toContain(`NOT_FOUND: There is nothing at ${join(collective.operator.home, 'nothing here')}`);
});

it('register_plugin takes a folder, an archive, and refuses what is none', async () => {
  const base = await author.call('register_plugin', { plugin_path: fixture('base-memory-tools') });
  expect(base.text).toMatch(/^plugin_base-memory-tools_1\.0\.0 is registered/);
  expect(base.data).toMatchObject({ id: 'plugin_base-memory-tools_1.0.0', created: true, status: 'registered' });
  const again = await author.call('register_plugin', { plugin_path: fixture('base-memory-tools') });
  expect(again.data).toMatchObject({ created: false, digest: base.data.digest });
  const made = await author.call('register_plugin', { plugin_path: 'made-here' });
  expect(made.data.id).toMatch(/^plugin_made-here_/);
  expect((await author.call('register_plugin', { plugin_path: collective.operator.bin })).text).toMatch(
    /^MANIFEST_MISSING: /,
  );
  const notZip = Buffer.from('no zip at all').toString('base64');
  expect((await author.call('register_plugin', { plugin_archive: notZip })).text).toMatch(/^ARCHIVE_INVALID: /);
});

it('publish_plugin names its target', async () => {
  const nobody = await author.call('publish_plugin', { plugin_id: 'plugin_base-memory-tools_1.0.0' });
  expect(nobody.text).toMatch(/^TARGET_REQUIRED: /);
  const all = await author.call('publish_plugin', { plugin_id: 'plugin_base-memory-tools_1.0.0', all: true });
  expect(all.data).toMatchObject({ groups: ['*'], status: 'published', machines: ['b'] });
  const seed = await author.call('register_plugin', { plugin_path: fixture('devops-essentials') });
  expect(seed.text).toContain('translated');
  const wrong = await author.call('publish_plugin', { plugin_id: seed.data.id, target_groups: ['scrapers'] });
  expect(wrong.text).toMatch(/^GROUP_NOT_ALLOWED: /);
  const target = { plugin_id: seed.data.id, target_groups: ['orchestrators'] };
  const unseen = await author.call('publish_plugin', target);
  expect(unseen.text).toMatch(/^SURFACE_UNACCEPTED: .*hooks that run by themselves on: .*commands it runs: /);
  const right = await author.call('publish_plugin', { ...target, accept_surface: true });
  expect(right.data).toMatchObject({ name: 'devops-essentials', groups: ['orchestrators'], machines: ['b'] });
  expect((await machine.call('publish_plugin', { plugin_id: seed.data.id, all: true })).text).toMatch(/^FORBIDDEN: /);
});

it('sync_plugins says what would change, and does it', async () => {
  const dry = await machine.call('sync_plugins', { dry_run: true });
  expect(dry.data.dry_run).toBe(true);
  const steps: string[] = [];
  const done = await machine.call('sync_plugins', {}, (step) => steps.push(step));
  expect(done.isError).toBe(false);
  expect(done.data.problems).toEqual([]);
  for (const name of ['devops-essentials', 'base-memory-tools']) await access(installed(name));
  expect(steps).toContain('plan');
  expect((await machine.call('sync_plugins')).text).toMatch(/^Nothing to do/);
});

it('list_plugins lists, filters and searches', async () => {
  const all = await machine.call('list_plugins');
  expect(all.data.plugins.map((p: { name: string }) => p.name)).toEqual(
    expect.arrayContaining(['base-memory-tools', 'devops-essentials', 'haivemind-core']),
  );
  expect(all.text).toContain('devops-essentials 1.2.0: ');
  const one = await machine.call('list_plugins', { limit: 1 });
  expect(one.data).toMatchObject({ plugins: [expect.anything()], more: true });
  const here = await machine.call('list_plugins', { installed_only: true });
  expect(here.data.plugins.map((p: { name: string }) => p.name)).toContain('devops-essentials');
  const found = await machine.call('list_plugins', {
    search_query: 'infrastructure workflows',
    keywords: ['devops', 'deployment'],
  });
  expect(found.data.plugins[0]).toMatchObject({ name: 'devops-essentials', score: expect.any(Number) });
  const nothing = await machine.call('list_plugins', { search_query: 'zzzzqqqq' });
  expect(nothing.data.plugins).toEqual([]);
  // Without a question its keywords are one; without either it is a list.
  for (const search_query of ['', ' ']) {
    const byWords = await machine.call('list_plugins', { search_query, keywords: ['infrastructure', 'devops'] });
    expect(byWords.data.plugins[0]).toMatchObject({ name: 'devops-essentials', score: expect.any(Number) });
    expect((await machine.call('list_plugins', { search_query, keywords: [''] })).data).toEqual(all.data);
  }
});

it('plugin_info and get_plugin_status tell of one plugin', async () => {
  const info = await machine.call('plugin_info', { plugin_id: 'devops-essentials' });
  expect(info.data).toMatchObject({
    version: '1.2.0',
    installed_here: '1.2.0',
    dependencies: [{ name: 'base-memory-tools', range: '^1.0.0', kind: 'required' }],
  });
  expect(info.data.files.map((f: { path: string }) => f.path)).toContain('commands/deploy.md');
  expect((await machine.call('plugin_info', { plugin_id: 'no-such-plugin' })).text).toMatch(/^PLUGIN_NOT_FOUND: /);
  const status = await machine.call('get_plugin_status');
  expect(status.data).toMatchObject({ machine: 'b', hub: { reachable: true }, in_step: true });
  const only = await machine.call('get_plugin_status', { plugin_id: 'devops-essentials@^1.0.0' });
  expect(only.data.plugins).toMatchObject([{ name: 'devops-essentials', version: '1.2.0', state: 'verified' }]);
  expect((await machine.call('get_plugin_status', { plugin_id: 'no-such-plugin' })).text).toMatch(/^NOT_INSTALLED: /);
});

it('install_plugin, rollback_plugin and remove_plugin change this machine', async () => {
  const folder = join(collective.operator.project, 'made-here');
  await author.call('publish_plugin', { plugin_id: 'made-here', all: true });
  const first = await machine.call('install_plugin', { plugin_id: 'made-here' });
  expect(first.isError).toBe(false);
  const { version } = JSON.parse(await readFile(installed('made-here'), 'utf8'));

  const manifest = join(folder, '.claude-plugin', 'plugin.json');
  for (const next of ['9.0.0', '9.1.0']) {
    await writeFile(
      manifest,
      (await readFile(manifest, 'utf8')).replace(/"version": *"[^"]+"/, `"version": "${next}"`),
    );
    const second = await author.call('register_plugin', { plugin_path: folder });
    await author.call('publish_plugin', { plugin_id: second.data.id, all: true });
  }
  const updated = await machine.call('install_plugin', { plugin_id: 'made-here', version: '9.1.0' });
  expect(updated.data).toMatchObject({ version: '9.1.0', reload_needed: true });
  expect(JSON.parse(await readFile(installed('made-here'), 'utf8')).version).toBe('9.1.0');

  const back = await machine.call('rollback_plugin', { plugin_id: 'made-here' });
  expect(back.data).toMatchObject({ name: 'made-here', from: '9.1.0', to: version, hub_told: true });
  expect(JSON.parse(await readFile(installed('made-here'), 'utf8')).version).toBe(version);
  expect((await machine.call('sync_plugins')).isError).toBe(false);
  expect(JSON.parse(await readFile(installed('made-here'), 'utf8')).version).toBe(version);

  // A version that is named is the one that is meant, however it is named, and also where it has to come from the hub.
  const here = async () => JSON.parse(await readFile(installed('made-here'), 'utf8')).version;
  const fetched = await machine.call('rollback_plugin', { plugin_id: 'plugin_made-here_9.0.0' });
  expect(fetched.data).toMatchObject({ from: version, to: '9.0.0' });
  expect(await here()).toBe('9.0.0');
  await machine.call('install_plugin', { plugin_id: 'made-here' });
  expect(await here()).toBe('9.1.0');
  const wrong = [
    [{ plugin_id: 'made-here@9.0.0', version }, /^ID_MISMATCH: /],
    [{ plugin_id: 'made-here', version: '^9' }, /^VERSION_INVALID: .*one exact version/],
    [{ plugin_id: 'made-here@latest' }, /^VERSION_INVALID: /],
    [{ plugin_id: 'plugin_made-here_9.1.0' }, /^ROLLBACK_UNAVAILABLE: made-here 9\.1\.0 is what is installed/],
  ] as const;
  for (const [given, answer] of wrong) expect((await machine.call('rollback_plugin', given)).text).toMatch(answer);
  const chosen = await machine.call('rollback_plugin', { plugin_id: `made-here@${version}` });
  expect(chosen.data).toMatchObject({ from: '9.1.0', to: version });
  expect((await machine.call('remove_plugin', { plugin_id: 'made-here@9.9.9' })).text).toMatch(
    new RegExp(`^ID_MISMATCH: made-here ${version} is installed here, not 9\\.9\\.9`),
  );
  expect(await here()).toBe(version);

  const gone = await machine.call('remove_plugin', { plugin_id: `plugin_made-here_${version}` });
  expect(gone.data).toMatchObject({ name: 'made-here', removed: ['made-here'], reload_needed: true });
  await expect(access(installed('made-here'))).rejects.toThrow();
  expect((await machine.call('remove_plugin', { plugin_id: 'made-here' })).text).toMatch(/^NOT_INSTALLED: /);
  expect((await machine.call('remove_plugin', { plugin_id: 'base-memory-tools' })).text).toMatch(
    /^DEPENDENT_INSTALLED: .*devops-essentials/,
  );
  expect((await machine.call('rollback_plugin', { plugin_id: 'devops-essentials' })).text).toMatch(
    /^ROLLBACK_UNAVAILABLE: /,
  );
  expect((await machine.call('install_plugin', { plugin_id: 'devops-essentials@^7.0.0' })).text).toMatch(
    /^VERSION_NOT_FOUND: /,
  );
  expect(
    (await machine.call('install_plugin', { plugin_id: 'devops-essentials', target_machines: ['other'] })).isError,
  ).toBe(true);
});

it('an operator at a machine names it among others: it has the plugin, or has lost it, when the answer comes', async () => {
  const operator = await startMcp(copy.root, home, { HAIVEMIND_TOKEN: collective.hub.adminToken ?? '' });
  try {
    for (const target_machines of [['b'], ['*']]) {
      const came = await operator.call('install_plugin', { plugin_id: 'made-here', target_machines });
      expect(came.data).toMatchObject({ machines: [{ machine: 'b', problem: null }], reload_needed: true });
      await access(installed('made-here'));
      const fleet = await operator.call('get_plugin_status', { fleet: true });
      expect(fleet.text).toMatch(/^1 machines, 0 not in step/);
      expect(fleet.data).toMatchObject({ in_step: true, fleet: { machines: 1, out_of_step: 0 }, machines: [] });
      const gone = await operator.call('remove_plugin', { plugin_id: 'made-here', target_machines });
      expect(gone.data).toMatchObject({ machines: ['b'], removed: ['made-here'], reload_needed: true });
      expect(gone.text).toContain('Type /reload-plugins so that this session lets go of it too.');
      await expect(access(installed('made-here'))).rejects.toThrow();
    }
  } finally {
    await operator.close();
  }
});

it('answers who sits at no machine of the collective about all of them, where that is allowed', async () => {
  const desk = await collective.home('desk');
  const admin = collective.hub.adminToken ?? '';
  const status = async (token: string) => {
    await hvOk(desk, ['login', collective.hub.url, '--token', token]);
    const session = await startMcp(copy.root, desk);
    const answer = await session.call('get_plugin_status', {});
    await session.close();
    return answer;
  };
  const all = await status(admin);
  expect(all.isError).toBe(false);
  expect(all.data.fleet.machines).toBeGreaterThan(0);
  expect(all.text).toMatch(/^\d+ machines, \d+ not in step\./);
  const made = await hvOk(desk, ['token', 'create', 'carl', '--roles', 'contributor']);
  const own = await status(made.token);
  expect(own.data).toMatchObject({ machine: null });
  expect(own.data.fleet).toBeUndefined();
});

it('takes an empty list of machines for a mistake, never for all of them', async () => {
  const nobody = { plugin_id: 'devops-essentials', target_machines: [] };
  for (const session of [author, machine]) {
    for (const tool of ['install_plugin', 'remove_plugin']) {
      const { text } = await session.call(tool, nobody);
      expect(text).toMatch(/^BAD_REQUEST: .*target_machines: an empty list names no machine: leave it out/);
    }
  }
  await access(installed('devops-essentials'));
});

it('keeps answering about this machine while the hub is away', async () => {
  await collective.hub.stop();
  const status = await machine.call('get_plugin_status');
  expect(status.data).toMatchObject({ machine: 'b', hub: { reachable: false } });
  expect((await machine.call('sync_plugins')).text).toMatch(/^HUB_UNREACHABLE: /);
});
