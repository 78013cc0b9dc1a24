import { readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Collective, DEVOPS } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';
import { treeSnapshot } from '../support/tree-snapshot.ts';

/** The life of a plugin on the command line: a hub and its operator, an author's host, a machine. In order, each on what came before. */
describe('hv', () => {
  let collective: Collective;
  let machine: TempHome;
  let before: unknown;
  const settings = () => readFile(join(machine.home, '.claude', 'settings.json'), 'utf8');
  const stateOf = async (name: string) =>
    (await hvOk(machine, ['status'])).plugins.find((p: { name: string }) => p.name === name);

  beforeAll(async () => {
    collective = await Collective.start();
    machine = await collective.home('b');
    before = await treeSnapshot(machine.home);
  });
  afterAll(() => collective.close());

  it('joins: token of its own, core plugin at once', async () => {
    const { url, joinToken } = collective.hub;
    const joined = await hvOk(machine, [
      'join',
      url,
      '--token',
      joinToken,
      '--name',
      'b',
      '--groups',
      DEVOPS.groups?.join(',') ?? '',
      '--capabilities',
      DEVOPS.capabilities?.join(',') ?? '',
    ]);
    expect(joined).toMatchObject({
      hub: { url },
      machine: { name: 'b', groups: ['orchestrators'] },
      rejoined: false,
      sync_error: null,
    });
    expect(joined.sync.changed.installed).toMatchObject([{ name: 'haivemind-core' }]);
    const config = JSON.parse(await readFile(join(machine.home, '.haivemind', 'config.json'), 'utf8'));
    expect(config.token).toMatch(/^hvt_/);
    expect(config.token).not.toBe(joinToken);
    expect(JSON.parse(await settings()).enabledPlugins['haivemind-core@collective']).toBe(true);
  });

  it('joins again and keeps its place; another machine may not take the name', async () => {
    const { url, joinToken } = collective.hub;
    const id = (await hvOk(machine, ['status'])).machine_details.id;
    const again = await hvOk(machine, ['join', url, '--token', joinToken]);
    expect(again).toMatchObject({ rejoined: true, machine: { id, name: 'b', groups: ['orchestrators'] } });
    const thief = await collective.home('thief');
    const taken = await hv(thief, ['join', url, '--token', joinToken, '--name', 'b', '--json']);
    expect(taken).toMatchObject({ code: 65, json: { error: { code: 'NAME_TAKEN' } } });
    const other = await hv(machine, ['join', 'http://127.0.0.1:1', '--token', joinToken, '--json']);
    expect(other).toMatchObject({ code: 78, json: { error: { code: 'ALREADY_JOINED' } } });
  });

  it('publishes: dry run first, then for real, then the same again', async () => {
    const fixtures = join(import.meta.dirname, '..', 'fixtures');
    const early = await hv(collective.operator, [
      'publish',
      join(fixtures, 'devops-essentials'),
      '--dry-run',
      '--json',
    ]);
    expect(early).toMatchObject({ code: 69, json: { error: { code: 'DEPENDENCY_MISSING' } } });
    const base = await hv(collective.operator, ['publish', join(fixtures, 'base-memory-tools'), '--json']);
    expect(base).toMatchObject({ code: 64, json: { error: { code: 'TARGET_REQUIRED' } } });
    await hvOk(collective.operator, ['publish', 'base-memory-tools@1.0.0', '--all']);
    const dry = await hvOk(collective.operator, ['publish', join(fixtures, 'devops-essentials'), '--dry-run']);
    expect(dry).toMatchObject({ dry_run: true, name: 'devops-essentials', machines: ['b'], difference: null });
    expect(dry).toMatchObject({ must_accept: true, surface: { mcp_servers: ['devops'] } });
    expect(dry.changes.map((c: { rule: string }) => c.rule).length).toBeGreaterThan(3);
    expect((await hvOk(collective.operator, ['list'])).plugins.map((p: { name: string }) => p.name)).not.toContain(
      'devops-essentials',
    );
    const unseen = await hv(collective.operator, ['publish', join(fixtures, 'devops-essentials'), '--json']);
    expect(unseen).toMatchObject({ code: 77, json: { error: { code: 'SURFACE_UNACCEPTED' } } });
    // Nothing is registered: the author may still declare it under this version.
    expect((await hv(collective.operator, ['info', 'devops-essentials', '--json'])).code).toBe(66);
    const accept = ['publish', join(fixtures, 'devops-essentials'), '--accept-surface'];
    const devops = await hvOk(collective.operator, accept);
    expect(devops).toMatchObject({
      id: 'plugin_devops-essentials_1.2.0',
      version: '1.2.0',
      digest: dry.digest,
      machines: ['b'],
      created: true,
    });
    const again = await hvOk(collective.operator, ['publish', join(fixtures, 'devops-essentials')]);
    expect(again).toMatchObject({ created: false, digest: dry.digest });
    const drier = await hvOk(collective.operator, ['publish', join(fixtures, 'devops-essentials'), '--dry-run']);
    expect(drier.difference).toEqual({ against: '1.2.0', added: [], changed: [], removed: [] });
  });

  it('refuses other bytes under the same version, and a group outside the manifest', async () => {
    const publish = collective.publish('devops-essentials', {
      edit: (folder) => writeFile(join(folder, 'commands', 'deploy.md'), '---\ndescription: other\n---\nother'),
    });
    await expect(publish).rejects.toThrow('VERSION_EXISTS');
    const group = collective.publish('devops-essentials', { version: '9.0.0', args: ['--groups', 'scrapers'] });
    await expect(group).rejects.toThrow('GROUP_NOT_ALLOWED');
  });

  it('lists, searches and describes', async () => {
    const { plugins, next } = await hvOk(machine, ['list']);
    expect(next).toBeNull();
    expect(plugins.map((p: { name: string }) => p.name).sort()).toEqual([
      'base-memory-tools',
      'devops-essentials',
      'haivemind-core',
    ]);
    const page = await hvOk(collective.operator, ['list', '--limit', '1']);
    expect(page.plugins).toHaveLength(1);
    const rest = await hvOk(collective.operator, ['list', '--after', page.next]);
    // Who publishes also sees what ships with the hub and nobody offers yet.
    expect(rest.plugins.map((p: { name: string }) => p.name)).toEqual(
      expect.arrayContaining(['elasticsearch-ops', 'incident-response']),
    );
    expect(rest.plugins).toHaveLength(4);
    const { results } = await hvOk(machine, ['search', 'incident', 'kubernetes']);
    expect(results[0]).toMatchObject({ name: 'devops-essentials', version: '1.2.0', score: expect.any(Number) });
    const info = await hvOk(machine, ['info', 'devops-essentials']);
    expect(info).toMatchObject({
      id: 'plugin_devops-essentials_1.2.0',
      here: null,
      machine_groups: ['orchestrators', 'dev_environments'],
    });
    const human = await hv(machine, ['list']);
    expect(human.stdout).toMatch(/^NAME +VERSION/);
    // No terminal, no colours.
    expect(human.stdout).not.toContain('\u001b');
  });

  it('shows what waits, previews and syncs', async () => {
    expect(await stateOf('devops-essentials')).toMatchObject({ state: 'waiting', available: '1.2.0' });
    const dry = await hvOk(machine, ['sync', '--dry-run']);
    expect(dry.changed.installed.map((p: { name: string }) => p.name)).toEqual([
      'base-memory-tools',
      'devops-essentials',
    ]);
    expect(dry.dry_run).toBe(true);
    const done = await hvOk(machine, ['sync']);
    expect(done.changed.installed).toHaveLength(2);
    const status = await hvOk(machine, ['status']);
    expect(status).toMatchObject({ machine: 'b', in_step: true, hub: { reachable: true } });
    expect(status.plugins.map((p: { name: string; state: string }) => [p.name, p.state])).toEqual([
      ['base-memory-tools', 'verified'],
      ['devops-essentials', 'verified'],
      ['haivemind-core', 'verified'],
    ]);
    const { machines } = await hvOk(collective.operator, ['info', 'devops-essentials']).then((i) => ({
      machines: i.installed_on,
    }));
    expect(machines).toMatchObject([{ machine: 'b', version: '1.2.0' }]);
    expect((await hvOk(machine, ['list', '--installed'])).plugins).toHaveLength(3);
  });

  it('updates one plugin when asked, and reports an edit that it met', async () => {
    const deploy = join(machine.home, '.claude', 'plugins', 'devops-essentials', 'commands', 'deploy.md');
    await writeFile(deploy, `${await readFile(deploy, 'utf8')}\nMy own line.\n`);
    expect(await stateOf('devops-essentials')).toMatchObject({ state: 'edited', edited: ['commands/deploy.md'] });
    await collective.publish('devops-essentials', { version: '1.3.0' });
    await collective.publish('base-memory-tools', { version: '1.1.0', args: ['--all'] });
    expect(await stateOf('devops-essentials')).toMatchObject({ version: '1.2.0', available: '1.3.0' });
    const updated = await hvOk(machine, ['update', 'devops-essentials']);
    expect(updated.changed.updated).toEqual([{ name: 'devops-essentials', from: '1.2.0', to: '1.3.0' }]);
    expect(updated.edits).toMatchObject([{ name: 'devops-essentials', path: 'commands/deploy.md', outcome: 'kept' }]);
    expect(await readFile(deploy, 'utf8')).toContain('My own line.');
    expect(await stateOf('base-memory-tools')).toMatchObject({ version: '1.0.0', available: '1.1.0' });
  });

  it('installs with --force over an edit', async () => {
    await hvOk(machine, ['install', 'devops-essentials', '--force']);
    const deploy = join(machine.home, '.claude', 'plugins', 'devops-essentials', 'commands', 'deploy.md');
    expect(await readFile(deploy, 'utf8')).not.toContain('My own line.');
    expect(await stateOf('devops-essentials')).toMatchObject({ state: 'verified', version: '1.3.0' });
  });

  it('will not remove what another plugin needs', async () => {
    const run = await hv(machine, ['remove', 'base-memory-tools', '--json']);
    expect(run).toMatchObject({ code: 69, json: { error: { code: 'DEPENDENT_INSTALLED' } } });
  });

  it('rolls back, stays there through a sync, and moves on with update', async () => {
    const back = await hvOk(machine, ['rollback', 'devops-essentials']);
    expect(back).toMatchObject({ from: '1.3.0', to: '1.2.0', hub_told: true });
    expect(await readlink(join(machine.home, '.claude', 'plugins', 'devops-essentials'))).toContain('1.2.0');
    await hvOk(machine, ['sync']);
    expect(await stateOf('devops-essentials')).toMatchObject({ version: '1.2.0', held: true });
    const shown = await hvOk(collective.operator, ['machines', 'show', 'b'], {
      env: { HAIVEMIND_TOKEN: collective.hub.adminToken ?? '' },
    });
    expect(shown.overrides).toContainEqual(
      expect.objectContaining({ name: 'devops-essentials', kind: 'hold', range: '1.2.0' }),
    );
    const moved = await hvOk(machine, ['update', 'devops-essentials']);
    expect(moved.changed.updated).toMatchObject([{ to: '1.3.0' }]);
    expect(await stateOf('devops-essentials')).toMatchObject({ version: '1.3.0', held: false });
  });

  it('refuses a rollback that would break another plugin, or to nowhere', async () => {
    const nowhere = await hv(machine, ['rollback', 'haivemind-core', '--json']);
    expect(nowhere.json).toMatchObject({ error: { code: 'ROLLBACK_UNAVAILABLE' } });
    const unknown = await hv(machine, ['rollback', 'devops-essentials', '--to', '7.7.7', '--json']);
    expect(unknown.json).toMatchObject({ error: { code: 'VERSION_NOT_FOUND' } });
    for (const [word, code] of [
      ['^1.0.0', 'VERSION_INVALID'],
      ['latest', 'VERSION_INVALID'],
    ] as const) {
      const range = await hv(machine, ['rollback', 'devops-essentials', '--to', word, '--json']);
      expect(range.json).toMatchObject({ error: { code } });
    }
    const two = await hv(machine, ['rollback', 'devops-essentials@1.2.0', '--to', '1.3.0', '--json']);
    expect(two.json).toMatchObject({ error: { code: 'ID_MISMATCH' } });
    const none = await hv(machine, ['rollback', 'no-such', '--json']);
    expect(none.json).toMatchObject({ error: { code: 'NOT_INSTALLED' } });
  });

  it('removes no other version than the one that is named', async () => {
    const [other, elsewhere] = [
      await hv(machine, ['remove', 'devops-essentials@9.9.9', '--json']),
      await hv(collective.operator, ['remove', 'plugin_devops-essentials_9.9.9', '--machines', 'b', '--json'], {
        env: { HAIVEMIND_TOKEN: collective.hub.adminToken ?? '' },
      }),
    ];
    for (const run of [other, elsewhere]) expect(run.json).toMatchObject({ error: { code: 'ID_MISMATCH' } });
    expect(await stateOf('devops-essentials')).toMatchObject({ version: '1.3.0', state: 'verified' });
  });

  it('removes, stays removed, and installs again', async () => {
    const removed = await hvOk(machine, ['remove', 'devops-essentials']);
    expect(removed.removed).toEqual(['devops-essentials']);
    await hvOk(machine, ['sync']);
    expect(await stateOf('devops-essentials')).toBeUndefined();
    expect(JSON.parse(await settings()).enabledPlugins).not.toHaveProperty('devops-essentials@collective');
    const back = await hvOk(machine, ['install', 'devops-essentials@1.2.0']);
    expect(back).toMatchObject({ version: '1.2.0', pinned: true, sync: { problems: [] } });
    expect(await stateOf('devops-essentials')).toMatchObject({ version: '1.2.0', pinned: true });
    const { warnings } = await hvOk(machine, ['update', 'devops-essentials']);
    expect(warnings).toEqual([expect.stringMatching(/pinned to 1\.2\.0: `hv install devops-essentials` frees it/)]);
    expect((await hv(machine, ['status'])).stdout).toContain('pinned; `hv install devops-essentials` frees it');
    await hvOk(machine, ['install', 'devops-essentials']);
    expect(await stateOf('devops-essentials')).toMatchObject({ version: '1.3.0', pinned: false });
    await hvOk(machine, ['install', 'devops-essentials@1.2.0']);
    const wrong = await hv(machine, ['install', 'devops-essentials@^9', '--json']);
    expect(wrong).toMatchObject({ code: 66, json: { error: { code: 'VERSION_NOT_FOUND' } } });
    const gone = await hv(machine, ['remove', 'no-such', '--json']);
    expect(gone).toMatchObject({ code: 66, json: { error: { code: 'NOT_INSTALLED' } } });
  });

  it("speaks for other machines only with an operator's token", async () => {
    const admin = { env: { HAIVEMIND_TOKEN: collective.hub.adminToken ?? '' } };
    const denied = await hv(machine, ['install', 'base-memory-tools', '--machines', 'someone', '--json']);
    expect(denied).toMatchObject({ code: 77, json: { error: { code: 'FORBIDDEN' } } });
    const ordered = await hvOk(collective.operator, ['install', 'base-memory-tools@1.1.0', '--machines', 'b'], admin);
    expect(ordered).toMatchObject({ machines: [{ machine: 'b', problem: null }], sync: null });
    await hvOk(machine, ['sync']);
    expect(await stateOf('base-memory-tools')).toMatchObject({ version: '1.1.0', origin: 'explicit' });
    const { machines } = await hvOk(collective.operator, ['machines'], admin);
    expect(machines).toMatchObject([{ name: 'b', groups: ['orchestrators'] }]);
    const { groups } = await hvOk(collective.operator, ['groups'], admin);
    expect(groups.find((g: { name: string }) => g.name === 'orchestrators')).toMatchObject({ machines: ['b'] });
    const one = await hvOk(collective.operator, ['groups', 'orchestrators'], admin);
    expect(one.groups).toMatchObject([{ name: 'orchestrators' }]);
    const none = await hv(collective.operator, ['groups', 'nope', '--json'], admin);
    expect(none).toMatchObject({ code: 66, json: { error: { code: 'NOT_FOUND' } } });
    const two = await hv(collective.operator, ['groups', 'extra', '--approvals', 'two', '--json'], admin);
    expect(two.json.error.message).toContain('wants 0 or');
    const set = await hvOk(collective.operator, ['machines', 'set', 'b', '--groups', 'orchestrators,extra'], admin);
    expect(set.groups).toEqual(['extra', 'orchestrators']);
  });

  it('makes, lists and revokes tokens, and logs in with one', async () => {
    const admin = { env: { HAIVEMIND_TOKEN: collective.hub.adminToken ?? '' } };
    const author = await collective.home('author');
    const made = await hvOk(
      collective.operator,
      ['token', 'create', 'ann', '--roles', 'publisher', '--pattern', 'x-*'],
      admin,
    );
    expect(made.token).toMatch(/^hvt_/);
    await hvOk(author, ['login', collective.hub.url, '--token', made.token]);
    expect((await hvOk(author, ['list'])).plugins.length).toBeGreaterThan(0);
    await hvOk(author, ['create', 'not-x']);
    const pattern = await hv(author, ['publish', './not-x', '--all', '--json']);
    expect(pattern).toMatchObject({ code: 77, json: { error: { code: 'FORBIDDEN' } } });
    await hvOk(author, ['create', 'x-tools', '--with', 'commands,skills,hooks']);
    expect(await hvOk(author, ['validate', 'x-tools'])).toMatchObject({ ok: true, findings: [] });
    expect(await hvOk(author, ['publish', 'x-tools', '--all'])).toMatchObject({ name: 'x-tools', created: true });
    const { tokens } = await hvOk(collective.operator, ['token', 'list'], admin);
    expect(tokens.find((t: { name: string }) => t.name === 'ann')).not.toHaveProperty('token');
    await hvOk(collective.operator, ['token', 'revoke', made.id], admin);
    const revoked = await hv(author, ['list', '--json']);
    expect(revoked).toMatchObject({ code: 77, json: { error: { code: 'TOKEN_INVALID' } } });
    const bad = await hv(author, ['login', collective.hub.url, '--token', 'hvt_nonsense', '--json']);
    expect(bad.json).toMatchObject({ error: { code: 'TOKEN_INVALID' } });
    expect(await hvOk(author, ['login', '--logout'])).toEqual({ logged_out: true });
  });

  it('finds nothing wrong, then finds what is', async () => {
    const well = await hvOk(machine, ['doctor']);
    expect(well.checks.filter((c: { result: string }) => c.result === 'fail')).toEqual([]);
    const file = join(machine.home, '.claude', 'settings.json');
    const good = await settings();
    await writeFile(file, '{ not json');
    const ill = await hv(machine, ['doctor', '--json']);
    expect(ill.code).toBe(1);
    expect(ill.json.checks.find((c: { check: string }) => c.check === 'settings')).toMatchObject({ result: 'fail' });
    await writeFile(file, good);
    await hvOk(machine, ['doctor', '--fix']);
  });

  it('works without the hub: status, rollback and remove; the hub learns it later', async () => {
    await hvOk(machine, ['update', 'base-memory-tools']);
    const { stop } = collective.hub;
    await stop();
    const status = await hvOk(machine, ['status']);
    expect(status).toMatchObject({ machine: 'b', hub: { reachable: false } });
    const back = await hvOk(machine, ['rollback', 'base-memory-tools', '--to', '1.0.0']);
    expect(back).toMatchObject({ to: '1.0.0', hub_told: false });
    const removed = await hvOk(machine, ['remove', 'devops-essentials']);
    expect(removed).toMatchObject({ removed: ['devops-essentials'] });
    expect(removed.warnings[0]).toContain('next sync');
    const sync = await hv(machine, ['sync', '--json']);
    expect(sync).toMatchObject({ code: 69, json: { error: { code: 'HUB_UNREACHABLE' } } });
    const human = await hv(machine, ['sync']);
    expect(human.stderr).toMatch(/^HUB_UNREACHABLE: .+\. .+\n$/);
  });

  it('leaves while the hub is away: nothing of ours remains', async () => {
    const left = await hvOk(machine, ['leave']);
    expect(left).toMatchObject({ left: collective.hub.url, hub_told: false });
    expect(left.warnings.join()).toContain('HUB_UNREACHABLE');
    // But for the edit of line 1, which --force had put aside: what a person wrote is never thrown away.
    const after = Object.entries(await treeSnapshot(machine.home)).filter(([path]) => !(path in (before as object)));
    const files = after
      .filter(([path, what]) => what.startsWith('file') && !path.endsWith('/made.json'))
      .map(([path]) => path);
    expect(files.length).toBeGreaterThan(0);
    for (const path of files) {
      expect(path).toMatch(/^\.claude\/plugins\/\.haivemind\/backups\/edits\//);
      expect(await readFile(join(machine.home, path), 'utf8')).toContain('My own line.');
    }
    const again = await hv(machine, ['leave', '--json']);
    expect(again).toMatchObject({ code: 78, json: { error: { code: 'NOT_JOINED' } } });
  });
});
