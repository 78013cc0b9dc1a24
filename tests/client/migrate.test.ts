// A person's own commands, agents, skills, hooks and servers become a plugin: in the real client the same works before and after.
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Collective } from '../support/collective.ts';
import { hv, hvOk } from '../support/hv.ts';
import type { TempHome } from '../support/temp-home.ts';
import { treeSnapshot } from '../support/tree-snapshot.ts';
import { scriptedSession } from './harness/with-model.ts';

let collective: Collective;
let a: TempHome;
let b: TempHome;
const claude = (home: TempHome, ...path: string[]): string => join(home.home, '.claude', ...path);
const env = () => ({ env: { HAIVEMIND_TOKEN: collective.hub.joinToken } });
const admin = () => ({ env: { HAIVEMIND_TOKEN: collective.hub.adminToken ?? '' } });

const SERVER = `process.stdin.on('data', (d) => { for (const line of String(d).split('\\n')) { if (!line) continue;
  const m = JSON.parse(line); if (m.id === undefined) continue;
  const result = m.method === 'initialize' ? { protocolVersion: m.params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'dice', version: '1' } }
    : m.method === 'tools/list' ? { tools: [{ name: 'roll', description: 'rolls', inputSchema: { type: 'object' } }] }
    : { content: [{ type: 'text', text: 'rolled a six' }] };
  process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id: m.id, result }) + '\\n'); } });`;

async function put(home: TempHome, path: string, text: string, mode = 0o644): Promise<void> {
  await mkdir(dirname(claude(home, path)), { recursive: true });
  await writeFile(claude(home, path), text, { mode });
  await chmod(claude(home, path), mode);
}

/** What a person has gathered over the years. */
async function ownThings(home: TempHome): Promise<void> {
  await put(home, 'commands/greet.md', '---\ndescription: Greets\n---\n\nSay GREETING to $ARGUMENTS\n');
  await put(
    home,
    'commands/roll.md',
    '---\ndescription: Rolls\nallowed-tools: mcp__dice__*\n---\n\nCall `roll`. Note: ~/.claude/notes/rules.txt\n',
  );
  await put(home, 'notes/rules.txt', 'No cheating\n');
  await put(home, 'commands/leak.md', `---\ndescription: Leaks\n---\n\nUse ghp_${'a1B2c3D4e5'.repeat(4)}\n`);
  await put(home, 'commands/git/commit.md', '---\ndescription: Commits\n---\n\nCommit.\n');
  await put(home, 'agents/checker.md', '---\nname: checker\ndescription: Checks things\n---\n\nYou check.\n');
  await put(home, 'skills/tidy/SKILL.md', '---\nname: tidy\ndescription: Tidies up\n---\n\nTidy.\n');
  await put(home, 'skills/tidy/scripts/run.sh', '#!/bin/sh\necho tidy\n', 0o755);
  await put(home, 'elsewhere.md', 'x');
  await symlink(claude(home, 'elsewhere.md'), claude(home, 'commands', 'linked.md'));
  await put(home, 'hooks/log.sh', '#!/bin/sh\necho "HOOK RAN" >> "$HOME/hook.log"\n', 0o755);
  const file = claude(home, 'settings.json');
  const settings = JSON.parse(await readFile(file, 'utf8'));
  settings.hooks = {
    UserPromptSubmit: [{ hooks: [{ type: 'command', command: 'sh ~/.claude/hooks/log.sh' }] }],
    Stop: [{ hooks: [{ type: 'command', command: '~/bin/only-here' }] }],
  };
  await writeFile(file, JSON.stringify(settings, null, 2));
  await put(home, 'servers/dice.cjs', SERVER);
  const servers = {
    dice: { type: 'stdio', command: 'node', args: [claude(home, 'servers', 'dice.cjs')], env: {} },
    paid: { type: 'stdio', command: 'npx', args: ['-y', 'paid@1.0.0'], env: { PAID_API_KEY: 'k-123456' } },
  };
  const state = join(home.home, '.claude.json');
  const before = JSON.parse(await readFile(state, 'utf8').catch(() => '{}'));
  await writeFile(state, JSON.stringify({ ...before, mcpServers: servers }, null, 2), { mode: 0o600 });
}

beforeAll(async () => {
  collective = await Collective.start();
  a = await collective.machine('a', { groups: ['web'] });
  b = await collective.machine('b', { groups: ['web'] });
  await ownThings(a);
});
afterAll(() => collective?.close());

async function works(home: TempHome, dice: string): Promise<void> {
  const log = join(home.home, 'hook.log');
  const lines = async () => (await readFile(log, 'utf8').catch(() => '')).split('\n').length;
  const before = await lines();
  const greet = await scriptedSession(home, [{ text: 'done' }], { prompt: '/greet the world' });
  expect(JSON.stringify(greet.requests[0]?.messages)).toContain('Say GREETING to the world');
  // Once a prompt, not twice.
  expect(await lines()).toBe(before + 1);
  const roll = await scriptedSession(home, [{ tool: dice, input: {} }, { text: 'done' }], { prompt: '/roll' });
  expect(roll.toolResults.map((r) => [r.isError, r.text])).toEqual([[false, 'rolled a six']]);
  expect(roll.init.agents.some((name) => /(^|:)checker$/.test(name))).toBe(true);
  expect(roll.init.skills.some((name) => /(^|:)tidy$/.test(name))).toBe(true);
}

describe('hv migrate', () => {
  it('works before', () => works(a, 'mcp__dice__roll'));

  it('alone shows what would move and what stays and why, and changes nothing', async () => {
    const before = await treeSnapshot(a.home);
    const plan = await hvOk(a, ['migrate', 'team-things']);
    expect(await treeSnapshot(a.home)).toEqual(before);
    const moved = plan.moved.map((m: { kind: string; name: string }) => `${m.kind} ${m.name}`).sort();
    expect(moved).toEqual([
      'agent checker',
      'command greet',
      'command roll',
      'hook UserPromptSubmit',
      'server dice',
      'skill tidy',
    ]);
    const left = Object.fromEntries(
      plan.left.map((l: { kind: string; name: string; why: string }) => [`${l.kind} ${l.name}`, l.why]),
    );
    expect(left).toEqual({
      'command git': expect.stringContaining('another name'),
      'command leak': expect.stringContaining('secret'),
      'command linked': expect.stringContaining('link'),
      'hook Stop': expect.stringContaining('~/bin/only-here'),
      'server paid': expect.stringContaining('PAID_API_KEY holds a secret'),
    });
    const text = (await hv(a, ['migrate', 'team-things'])).stdout;
    expect(text).toContain('Nothing was changed');
    const asked = await hvOk(a, ['migrate', 'team-things', '--only', 'paid', '--user-config']);
    expect(asked).toMatchObject({ asks: ['paid_paid_api_key'], moved: [{ kind: 'server', name: 'paid' }] });
  });

  it.each([
    ['--groups', ['migrate', 'x', '--groups', 'web']],
    ['both', ['migrate', 'x', '--write', '--publish']],
    ['nobody', ['migrate', 'x', '--publish']],
  ])('refuses %s', async (_what, args) => {
    expect((await hv(a, args)).stderr).toMatch(/^USAGE: /);
  });

  it('that may not publish leaves everything where it is', async () => {
    const before = await readdir(claude(a, 'commands'));
    const refused = await hv(a, ['migrate', 'team-things', '--publish', '--groups', 'web']);
    expect(refused.stderr).toMatch(/^FORBIDDEN: /);
    expect(await readdir(claude(a, 'commands'))).toEqual(before);
  });

  it('publishes, installs, and puts aside only what the plugin replaced', async () => {
    const done = await hvOk(a, ['migrate', 'team-things', '--publish', '--groups', 'web'], env());
    expect(done).toMatchObject({ published: { groups: ['web'] }, stay: [] });
    const commands = await readdir(claude(a, 'commands'));
    expect(commands).toEqual(expect.arrayContaining(['greet.md', 'roll.md', 'leak.md', 'linked.md', 'git']));
    // The bare commands are the plugin's now.
    expect(await readFile(claude(a, 'commands', 'roll.md'), 'utf8')).toContain('mcp__plugin_team-things_dice__*');
    expect(await readdir(claude(a, 'agents'))).toEqual([]);
    expect(await readdir(claude(a, 'skills'))).toEqual([]);
    const settings = JSON.parse(await readFile(claude(a, 'settings.json'), 'utf8'));
    expect(Object.keys(settings.hooks)).toEqual(['Stop']);
    const state = JSON.parse(await readFile(join(a.home, '.claude.json'), 'utf8'));
    expect(Object.keys(state.mcpServers)).toEqual(['paid']);
    const tree = join(claude(a, 'plugins', 'team-things'));
    expect((await stat(join(tree, 'skills', 'tidy', 'scripts', 'run.sh'))).mode & 0o111).not.toBe(0);
    expect(await readFile(join(tree, 'files', 'notes', 'rules.txt'), 'utf8')).toBe('No cheating\n');
    for (const file of await readdir(tree, { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue;
      expect(await readFile(join(file.parentPath, file.name), 'utf8')).not.toMatch(/ghp_|k-123456/);
    }
  });

  it('works after, here and on another machine of the group', async () => {
    await works(a, 'mcp__plugin_team-things_dice__roll');
    await hvOk(b, ['sync']);
    await works(b, 'mcp__plugin_team-things_dice__roll');
  });

  it('is undone by hv backups restore, beside what others wrote since', async () => {
    const [backup] = (await hvOk(a, ['backups'])).filter((row: { kind: string }) => row.kind === 'migrate');
    await hvOk(a, ['remove', 'team-things']);
    await put(a, 'agents/checker.md', '---\nname: checker\ndescription: A new one\n---\n\nNew.\n');
    const back = await hvOk(a, ['backups', 'restore', backup.id]);
    expect(back.stay).toEqual([claude(a, 'agents', 'checker.md')]);
    await works(a, 'mcp__dice__roll');
    expect((await hv(a, ['backups', 'restore', 'migrate/none'])).stderr).toMatch(/^NOT_FOUND: /);
  });

  it('that must wait for an operator says so, and leaves everything where it is', async () => {
    const before = await readdir(claude(a, 'commands'));
    await hvOk(collective.operator, ['groups', 'web', '--approvals', '2'], admin());
    const waits = await hv(a, ['migrate', 'waiting-things', '--publish', '--groups', 'web', '--only', 'greet'], env());
    expect(waits.stderr).toMatch(
      /^NOT_ELIGIBLE: waiting-things 1\.0\.0 .*approved: web[\s\S]*hv approve waiting-things@1\.0\.0/,
    );
    expect(await readdir(claude(a, 'commands'))).toEqual(before);
    await hvOk(collective.operator, ['groups', 'web', '--approvals', '0'], admin());
  });
});
