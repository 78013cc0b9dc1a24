import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hv, hvOk } from '../support/hv.ts';
import { bareRepository } from '../support/repository.ts';
import { runProcess } from '../support/run-process.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { treeSnapshot } from '../support/tree-snapshot.ts';
import { type ScriptedHub, scriptedHub } from './scripted-hub.ts';

const VERBS = [
  'join',
  'leave',
  'login',
  'register',
  'publish',
  'list',
  'search',
  'info',
  'install',
  'update',
  'remove',
  'rollback',
  'sync',
  'status',
  'validate',
  'create',
  'config',
  'machines',
  'groups',
  'token',
  'doctor',
  'agent',
  'self-update',
];

describe('hv on the command line', () => {
  let home: TempHome;
  let hub: ScriptedHub;
  beforeAll(async () => {
    home = await tempHome('usage');
    hub = await scriptedHub({
      '*': (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>hello'),
    });
  });
  afterAll(async () => {
    await hub.close();
    await home.remove();
  });

  it('helps: an overview, and an example for every verb', async () => {
    const overview = await hv(home, ['--help']);
    expect(overview.code).toBe(0);
    for (const verb of [...VERBS, 'hub']) expect(overview.stdout).toMatch(new RegExp(`^  ${verb}\\b`, 'm'));
    for (const verb of VERBS) {
      const help = await hv(home, [verb, '--help']);
      expect(help, verb).toMatchObject({ code: 0, stderr: '' });
      expect(help.stdout, verb).toMatch(/Examples?:\n {2}hv /);
    }
    expect((await hv(home, ['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await hv(home, [])).stdout).toContain('Usage: hv');
  });

  it("helps with the hub's own verbs", async () => {
    expect((await hv(home, ['help', 'hub'])).stdout).toBe((await hv(home, ['hub', '--help'])).stdout);
    expect((await hv(home, ['help', 'list'])).stdout).toContain('Usage: hv list');
  });

  it.skipIf(!existsSync('/dev/full'))('says in a line that what it prints could not be written', async () => {
    const full = await runProcess(
      'sh',
      [
        '-c',
        '"$0" "$@" > /dev/full',
        process.execPath,
        join(await bareRepository(), 'server', 'dist', 'cli.mjs'),
        '--help',
      ],
      {
        ...{ cwd: home.project, env: home.env() },
      },
    );
    expect(full).toMatchObject({ code: 74, stderr: expect.stringMatching(/^DISK_FULL: .+\n$/) });
  });

  it.each([
    ['a verb that does not exist', ['pubish'], 'publish'],
    ['help for a verb that does not exist', ['help', 'pubish'], 'publish'],
    ['the help of a verb that does not exist', ['pubish', '--help'], 'publish'],
    ['the contrary of what a word means to others', ['uninstall', 'x'], 'That is `hv remove NAME`'],
    ['the word that a session has before it', ['plugin', 'list'], 'Leave the word out'],
    ['taking a plugin back', ['unpublish', 'x'], '`hv yank NAME@VERSION`'],
    ['a verb that is like no other', ['xyzzy'], 'Run `hv --help`'],
    ['a missing argument, and says where the help is', ['info'], 'Run `hv info --help`'],
    ['an action on tasks that does not exist', ['tasks', 'finish'], 'take, progress, done'],
    ['a verb of the hub that does not exist', ['hub', 'bakup', 'x'], 'backup, restore, token'],
    ['a verb of the hub without its own', ['hub', 'token'], 'Run `hv hub token --help`'],
    ['an option of the hub that does not exist', ['hub', 'token', 'list', '--jsn'], 'Did you mean --json?'],
    ['an option that does not exist', ['list', '--instaled'], '--installed'],
    ['a missing argument', ['info'], 'plugin'],
    ['an argument too many', ['status', 'a', 'b'], ''],
    ['an option without its value', ['list', '--limit'], ''],
    ['a number that is none', ['list', '--limit', 'many'], 'whole number'],
    ['an action that does not exist', ['config', 'got'], 'get, set or unset'],
    ['a key that does not exist', ['config', 'set', 'auto_sink', 'true'], 'Did you mean auto_sync?'],
    ['a status that does not exist', ['list', '--status', 'released'], 'published'],
    ['a kind of component that does not exist', ['search', 'x', '--component', 'widget'], 'skill'],
    ['targets that exclude each other', ['publish', './x', '--all', '--groups', 'a'], 'exclude'],
    ['a machine action that does not exist', ['machines', 'delete'], 'remove'],
  ])('refuses %s', async (_, args, says) => {
    const human = await hv(home, args);
    expect(human.code).toBe(64);
    expect(human.stdout).toBe('');
    expect(human.stderr).toMatch(/^USAGE: .+\n$/);
    expect(human.stderr).toContain(says);
    const json = await hv(home, [...args, '--json']);
    expect(json.code).toBe(64);
    expect(json.stderr).toBe('');
    expect(json.json).toMatchObject({
      error: { code: 'USAGE', message: expect.any(String), hint: expect.any(String) },
    });
  });

  it.each([
    [['sync'], 'NOT_JOINED', 78],
    [['update'], 'NOT_JOINED', 78],
    [['install', 'x'], 'NOT_JOINED', 78],
    [['leave'], 'NOT_JOINED', 78],
    [['agent'], 'NOT_JOINED', 78],
    [['remove', 'x'], 'NOT_JOINED', 78],
    [['rollback', 'x'], 'NOT_INSTALLED', 66],
    // What every object has under its name is no plugin and no word of ours.
    [['rollback', 'constructor'], 'NAME_RESERVED', 65],
    [['diff', 'constructor'], 'NOT_INSTALLED', 66],
    [['update', 'constructor'], 'NOT_INSTALLED', 66],
    [['tasks', 'constructor', 'x'], 'USAGE', 64],
    [['list'], 'HUB_NOT_CONFIGURED', 78],
    [['search', 'x'], 'HUB_NOT_CONFIGURED', 78],
    [['join'], 'HUB_NOT_CONFIGURED', 78],
    [['join', 'http://127.0.0.1:1'], 'UNAUTHENTICATED', 77],
    [['join', 'nonsense', '--token', 't'], 'CONFIG_INVALID', 78],
    [['join', 'http://127.0.0.1:1', '--token', 't'], 'HUB_UNREACHABLE', 69],
    [['validate', './nowhere'], 'NOT_FOUND', 66],
    [['create', 'Bad Name'], 'NAME_INVALID', 65],
    [['create', 'cache'], 'NAME_RESERVED', 65],
    [['create', 'x', '--with', 'wings'], 'USAGE', 64],
    [['config', 'set', 'sync_interval', '0'], 'CONFIG_INVALID', 78],
    [['config', 'set', 'auto_sync', 'perhaps'], 'CONFIG_INVALID', 78],
  ])('%j on a machine without a hub is %s', async (args, code, exit) => {
    const run = await hv(home, [...args, '--json']);
    expect({ exit: run.code, code: run.json?.error?.code, stderr: run.stderr }).toEqual({ exit, code, stderr: '' });
  });

  it('left nothing behind by failing', async () => {
    expect(await treeSnapshot(home.home)).toEqual({});
  });

  it('knows what is no hub from what is none at all', async () => {
    const env = { HAIVEMIND_HUB_URL: hub.url };
    expect((await hv(home, ['list', '--json'], { env })).json.error.code).toBe('HUB_ANSWER_INVALID');
    const join = await hv(home, ['join', hub.url, '--token', 't', '--json']);
    expect(join).toMatchObject({ code: 76, json: { error: { code: 'HUB_ANSWER_INVALID' } } });
  });

  it('shows status and doctor without a hub', async () => {
    expect(await hvOk(home, ['status'])).toMatchObject({ machine: null, hub: null, plugins: [] });
    expect((await hv(home, ['status'])).stdout).toContain('hv join');
    const doctor = await hvOk(home, ['doctor']);
    expect(doctor.ok).toBe(true);
    expect(doctor.checks.find((c: { check: string }) => c.check === 'config')).toMatchObject({ result: 'warn' });
  });

  it('gets, sets and unsets configuration, and refuses a broken file', async () => {
    expect(await hvOk(home, ['config', 'get', 'auto_install_updates'])).toEqual({
      'plugins.auto_install_updates': false,
    });
    await hvOk(home, ['config', 'set', 'auto_install_updates', 'true']);
    await hvOk(home, ['config', 'set', 'plugins.allowed_sources', 'haivemind']);
    const block = await hvOk(home, ['config', 'get', 'plugins']);
    expect(block).toMatchObject({ 'plugins.auto_install_updates': true, 'plugins.sync_interval': 3600 });
    expect(Object.keys(block).filter((key) => !key.startsWith('plugins.'))).toEqual([]);
    expect((await hv(home, ['config', 'get', 'plugins'])).stdout).toContain('plugins.auto_sync = true\n');
    const all = await hvOk(home, ['config', 'get']);
    expect(all).toMatchObject({ 'plugins.auto_install_updates': true, 'plugins.allowed_sources': ['haivemind'] });
    expect((await hv(home, ['config', 'get', 'auto_install_updates'])).stdout).toBe('true\n');
    await hvOk(home, ['config', 'unset', 'auto_install_updates']);
    expect(await hvOk(home, ['config', 'get', 'auto_install_updates'])).toEqual({
      'plugins.auto_install_updates': false,
    });
    await writeFile(join(home.home, '.haivemind', 'config.json'), '{}');
  });

  it('takes every key of the plugins block as docs/configuration.md writes it, and refuses what cannot be', async () => {
    const file = join(import.meta.dirname, '..', '..', 'docs', 'configuration.md');
    const block = (await readFile(file, 'utf8')).split('## The `plugins` block')[1]?.split('\n## ')[0] ?? '';
    const keys = [...block.matchAll(/^\| `(\w+)` \|/gm)].map((row) => row[1] ?? '');
    expect(keys).toContain('limits');
    const { json } = await hv(home, ['config', 'get', 'nothing', '--json']);
    for (const key of keys) expect(json.error.hint).toContain(`plugins.${key}`);
    const set = (key: string, value: string) => hv(home, ['config', 'set', key, value, '--json']);
    const taken: [string, unknown][] = [
      ['allowed_sources', ['haivemind', 'local']],
      ['findings', { SECRET_FOUND: 'error' }],
      ['limits', { token_burst: 5 }],
      ['approval_groups', ['web-*']],
      ['allowed_source_hosts', ['git.example']],
    ];
    for (const [key, value] of taken) {
      expect((await set(key, JSON.stringify(value))).json).toEqual({ [`plugins.${key}`]: value });
    }
    expect((await hv(home, ['config', 'get', 'findings'])).stdout).toBe('{"SECRET_FOUND":"error"}\n');
    for (const [key, value] of [
      ['allowed_sources', '["haivemind"'],
      ['allowed_sources', '[1]'],
      ['findings', 'error'],
      ['findings', '{"SECRET_FOUND":"loud"}'],
      ['approvals', 'sometimes'],
      ['hub_url', 'foo bar'],
    ] as const) {
      expect((await set(key, value)).json).toMatchObject({ error: { code: 'CONFIG_INVALID' } });
    }
    expect(await hvOk(home, ['status'])).toMatchObject({ machine: null });
    await writeFile(join(home.home, '.haivemind', 'config.json'), '{"plugins":{"sync_interval":"soon"}}');
    const broken = await hv(home, ['status', '--json']);
    expect(broken).toMatchObject({ code: 78, json: { error: { code: 'CONFIG_INVALID' } } });
    expect(broken.json.error.message).toContain('plugins.sync_interval');
    await writeFile(join(home.home, '.haivemind', 'config.json'), '{}');
  });

  it('creates what validates, and never over something', async () => {
    const made = await hvOk(home, ['create', 'my-plugin', '--with', 'commands,agents,skills,hooks,mcp']);
    expect(made.files).toContain('.claude-plugin/plugin.json');
    expect(await hvOk(home, ['validate', 'my-plugin'])).toMatchObject({ ok: true, findings: [] });
    expect((await hv(home, ['create', 'my-plugin', '--json'])).json.error.code).toBe('PATH_OCCUPIED');
    await writeFile(join(home.project, 'my-plugin', '.mcp.json'), '{');
    const bad = await hv(home, ['validate', 'my-plugin', '--json']);
    expect(bad.code).toBe(65);
    expect(bad.json.ok).toBe(false);
    expect(bad.json.findings[0]).toMatchObject({ severity: 'error', file: '.mcp.json', fix: expect.any(String) });
  });

  it('prints service files that name this program', async () => {
    const { systemd } = await hvOk(home, ['agent', '--print-systemd'], { env: { CLAUDE_CONFIG_DIR: '/x y/$HOME' } });
    expect(systemd).toMatch(/^ExecStart=".*node" ".*cli\.mjs" agent$/m);
    expect(systemd).toContain('Environment="CLAUDE_CONFIG_DIR=/x y/$$HOME"');
    const env = { HAIVEMIND_HOME: 'state', HAIVEMIND_CA_FILE: './ca.pem', CLAUDE_CONFIG_DIR: 'claude' };
    const relative = await hvOk(home, ['agent', '--print-systemd'], { env });
    for (const [name, place] of Object.entries({ ...env, HAIVEMIND_CA_FILE: 'ca.pem' }))
      expect(relative.systemd).toContain(`"${name}=${join(home.project, place)}"`);
    const { launchd } = await hvOk(home, ['agent', '--print-launchd']);
    expect(launchd).toContain('<key>ProgramArguments</key>');
    // What ends well is not started again: a machine that left its hub.
    expect(systemd).toMatch(/^Restart=on-failure$/m);
    expect(systemd).toMatch(/^ConditionPathExists=.*cli\.mjs$/m);
    expect(launchd).toContain('<key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>');
    const asService = { env: { XPC_SERVICE_NAME: 'dev.haivemind.agent' } };
    const bare = await tempHome('no-hub');
    expect(await hvOk(bare, ['agent'], asService)).toEqual({ type: 'left' });
    expect((await hv(bare, ['agent', '--json'])).json.error.code).toBe('NOT_JOINED');
    await bare.remove();
  });

  it('runs no hub from a copy that holds none', async () => {
    const self = await hvOk(home, ['self-update'], { env: { HAIVEMIND_HUB_URL: hub.url } });
    expect(self.state).toBe('foreign');
  });
});
