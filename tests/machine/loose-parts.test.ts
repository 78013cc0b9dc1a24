// The loose layout: the same parts as in the native one, or the whole plugin is refused.
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inspect } from '../../server/src/machine/drift.ts';
import { checkSupported } from '../../server/src/machine/loose/supported.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { makeRig, type Rig } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

const RECEIPTS = '.claude/plugins/.haivemind/receipts.json';
const manifest = (extra: object = {}) => JSON.stringify({ name: 'ops', version: '1.0.0', description: 'd', ...extra });
const text = (front: string, body = 'body') => `---\n${front}\n---\n${body}\n`;
const json = async (path: string) => JSON.parse(await rig.read(path));

/** Installs loosely and returns what lies below ~/.claude/commands and its like. */
async function install(files: Record<string, unknown>): Promise<string[]> {
  const texts = Object.entries({ '.claude-plugin/plugin.json': manifest(), ...files }).map(([path, value]) => [
    path,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  await rig.apply({ install: [await rig.store('ops', '1.0.0', Object.fromEntries(texts))], layout: 'loose' });
  const all = Object.entries(await rig.snapshot()).filter(([, what]) => what !== 'dir');
  return all
    .flatMap(([path]) => /^\.claude\/((?:commands|agents|skills|output-styles|themes)\/.*)/.exec(path)?.[1] ?? [])
    .sort();
}
const treeOf = async () =>
  rig.path('.claude/plugins/.haivemind', (await readReceipts(rig.machine)).plugins.ops?.dir ?? '');

describe('CLAUDE_PLUGIN_ROOT', () => {
  const hook = (handler: object) => ({ hooks: { PreToolUse: [{ matcher: 'Bash', hooks: [handler] }] } });
  const handlerOf = async () => (await json('.claude/settings.json')).hooks.PreToolUse[0].hooks[0];

  it.each(['"$CLAUDE_PLUGIN_ROOT"/deny.sh', '"${CLAUDE_PLUGIN_ROOT:-.}"/deny.sh'])(
    'is in the environment of a hook that reads it: %s',
    async (command) => {
      await install({ 'hooks/hooks.json': hook({ type: 'command', command }), 'deny.sh': 'exit 2' });
      expect((await handlerOf()).command).toBe(`export CLAUDE_PLUGIN_ROOT='${await treeOf()}'; ${command}`);
    },
  );

  it('is there for a program with arguments, for PowerShell and for a server', async () => {
    const args = ['-c', 'exec "$CLAUDE_PLUGIN_ROOT/s"'];
    const shell = { type: 'command', shell: 'powershell', command: '& "$env:CLAUDE_PLUGIN_ROOT/x.ps1"' };
    await install({
      'hooks/hooks.json': {
        hooks: { ...hook({ type: 'command', command: 'sh', args }).hooks, Stop: [{ hooks: [shell] }] },
      },
      '.mcp.json': { mcpServers: { s: { command: 'sh', args } } },
    });
    const root = await treeOf();
    expect(await handlerOf()).toMatchObject({ command: 'env', args: [`CLAUDE_PLUGIN_ROOT=${root}`, 'sh', ...args] });
    const [stop] = (await json('.claude/settings.json')).hooks.Stop;
    expect(stop.hooks[0].command).toBe(`$env:CLAUDE_PLUGIN_ROOT = '${root}'; ${shell.command}`);
    expect((await json('.claude.json')).mcpServers.s.env).toEqual({ CLAUDE_PLUGIN_ROOT: root });
  });

  it('is not given to what does not read it', async () => {
    await install({ 'hooks/hooks.json': hook({ type: 'command', command: 'sh "${CLAUDE_PLUGIN_ROOT}/x.sh"' }) });
    expect((await handlerOf()).command).toBe(`sh "${await treeOf()}/x.sh"`);
  });
});

describe('what plugin.json puts aside', () => {
  it('stays aside: commands and agents that it names are the only ones', async () => {
    const files = {
      '.claude-plugin/plugin.json': manifest({ commands: ['./new/'], agents: ['./a/x.md'] }),
      'new/newc.md': text('description: d'),
      'new/sub/deep.md': text('description: d'),
      'commands/oldc.md': text('description: d'),
      'a/x.md': text('name: newag\ndescription: d'),
      'agents/oldag.md': text('name: oldag\ndescription: d'),
    };
    expect(await install(files)).toEqual(['agents/x.md', 'commands/newc.md', 'commands/sub/deep.md']);
  });

  it('is told by the default folder’s name too, and goes with an update', async () => {
    const two = { 'commands/a.md': text('description: d'), 'commands/sub/b.md': text('description: d') };
    expect(await install(two)).toEqual(['commands/a.md', 'commands/sub/b.md']);
    const next = {
      ...two,
      '.claude-plugin/plugin.json': manifest({ version: '2.0.0', commands: ['./commands/a.md'] }),
    };
    await rig.apply({ install: [await rig.store('ops', '2.0.0', next)] });
    expect(Object.keys(await rig.snapshot())).toContain('.claude/commands/a.md');
    expect(Object.keys(await rig.snapshot())).not.toContain('.claude/commands/sub/b.md');
  });

  it('are skills that the client does not find', async () => {
    const skill = text('name: s\ndescription: d');
    expect(await install({ 'skills/group/s/SKILL.md': skill, 'skills/t/SKILL.md': skill })).toEqual([
      'skills/t/SKILL.md',
    ]);
  });
});

describe('a SKILL.md in the root', () => {
  it('is a skill with the files beside it, by its own name', async () => {
    const files = {
      'SKILL.md': text('name: rooty\ndescription: d', 'Run ${CLAUDE_PLUGIN_ROOT}/scripts/x.py'),
      'scripts/x.py': 'print()',
      'commands/c.md': text('description: d'),
      'hooks/hooks.json': { hooks: {} },
      '.mcp.json': { mcpServers: {} },
    };
    expect(await install(files)).toEqual(['commands/c.md', 'skills/rooty/SKILL.md', 'skills/rooty/scripts/x.py']);
    expect(await rig.read('.claude/skills/rooty/SKILL.md')).toContain(`Run ${await treeOf()}/scripts/x.py`);
  });

  it('has the plugin’s name where it has none that a folder can have, and is none beside skills/', async () => {
    expect(await install({ 'SKILL.md': text('name: ../up\ndescription: d') })).toEqual(['skills/ops/SKILL.md']);
    await rig.apply({ remove: ['ops'], reason: 'remove' });
    const both = { 'SKILL.md': text('name: r'), 'skills/s/SKILL.md': text('name: s') };
    expect(await install(both)).toEqual(['skills/s/SKILL.md']);
  });
});

describe('front matter that the client ignores in a plugin', () => {
  const HOOKS = "hooks:\n  Stop:\n  - hooks:\n    - type: command\n      command: 'x'\n";
  const agent = (more: string, last = 'tools: Read\n') =>
    `---\nname: au\n# about it\n${more}# the tools\n${last}---\nYou audit.\n`;
  const KEYS = `permissionMode: bypassPermissions\n${HOOKS}mcpServers:\n- s:\n    command: x\ninitialPrompt: go\nobserver: x\n`;
  const edited = async () => (await inspect(rig.machine))[0]?.edited;

  it('is left out of the copies, and nothing else', async () => {
    await install({
      'agents/au.md': agent(KEYS),
      'commands/c.md': `---\nallowed-tools: Read\n${HOOKS}---\nDo.\n`,
      'commands/g.md': `---\ndescription: d\nallowed-tools: Bash\n${HOOKS.replace('Stop', 'PreToolUse')}---\nDo.\n`,
      'commands/p.md': '---\npermissionMode: plan\n---\nDo.\n',
      'skills/s/SKILL.md': `---\ndescription: d\n${HOOKS}---\nDo.\n`,
    });
    expect(await rig.read('.claude/agents/au.md')).toBe(agent(''));
    expect(await rig.read('.claude/commands/c.md')).toBe('---\nallowed-tools: Read\n---\nDo.\n');
    // The client takes the grants of a plugin's command that has a guard.
    expect(await rig.read('.claude/commands/g.md')).toBe('---\ndescription: d\n---\nDo.\n');
    expect(await rig.read('.claude/commands/p.md')).toContain('permissionMode: plan');
    expect(await rig.read('.claude/skills/s/SKILL.md')).toContain('hooks:');
    expect(await edited()).toEqual([]);
  });

  it('goes byte for byte with CRLF, a byte order mark and quoted keys', async () => {
    const odd = (more: string) => `\uFEFF${agent(more).replaceAll('\n', '\r\n')}`;
    await install({
      'agents/au.md': odd(`"permissionMode": plan\n'hooks' :\n# in it\n  Stop: []\npermission-mode: plan\n`),
    });
    expect(await rig.read('.claude/agents/au.md')).toBe(odd(''));
    expect(await edited()).toEqual([]);
  });

  it('stays in the tree when a person edits the copy, also through an update', async () => {
    const first = agent(KEYS);
    await install({ 'agents/au.md': first });
    await rig.write('.claude/agents/au.md', agent('', 'tools: Read, Grep\n'));
    expect(await edited()).toEqual(['agents/au.md']);
    const next = { '.claude-plugin/plugin.json': manifest({ version: '2.0.0' }), 'agents/au.md': `${first}More.\n` };
    const { edits } = await rig.apply({ install: [await rig.store('ops', '2.0.0', next)] });
    expect(edits).toEqual([{ name: 'ops', path: 'agents/au.md', outcome: 'merged' }]);
    expect(await rig.read('.claude/agents/au.md')).toBe(`${agent('', 'tools: Read, Grep\n')}More.\n`);
    const { dir = '' } = (await readReceipts(rig.machine)).plugins.ops ?? {};
    expect(await rig.read(`.claude/plugins/.haivemind/${dir}/agents/au.md`)).toBe(
      `${agent(KEYS, 'tools: Read, Grep\n')}More.\n`,
    );
  });

  it('that a person writes into a copy stays there, also through updates', async () => {
    const mine = 'permissionMode: plan\n';
    await install({ 'agents/au.md': agent(HOOKS) });
    await rig.write('.claude/agents/au.md', agent(mine));
    for (const [version, body] of [
      ['2.0.0', 'Two.\n'],
      ['3.0.0', 'Three.\n'],
    ] as const) {
      const next = { '.claude-plugin/plugin.json': manifest({ version }), 'agents/au.md': agent(HOOKS) + body };
      await rig.apply({ install: [await rig.store('ops', version, next)] });
      expect(await rig.read('.claude/agents/au.md')).toBe(agent(mine) + body);
    }
  });

  it('goes with the next version where an earlier program copied it', async () => {
    await install({ 'agents/au.md': agent(KEYS) });
    const receipts = JSON.parse(await rig.read(RECEIPTS));
    const [file] = receipts.plugins.ops.loose.files;
    file.sha256 = createHash('sha256').update(agent(KEYS)).digest('hex');
    delete file.cuts;
    await rig.write(RECEIPTS, JSON.stringify(receipts));
    await rig.write('.claude/agents/au.md', agent(KEYS));
    const next = { '.claude-plugin/plugin.json': manifest({ version: '2.0.0' }), 'agents/au.md': agent(KEYS) };
    await rig.apply({ install: [await rig.store('ops', '2.0.0', next)] });
    expect(await rig.read('.claude/agents/au.md')).toBe(agent(''));
  });

  it('is left in place where a plugin may have it', async () => {
    await install({
      'agents/au.md': agent('isolation: worktree\n'),
      'agents/far.md': agent('isolation: remote\n'),
    });
    expect(await rig.read('.claude/agents/au.md')).toBe(agent('isolation: worktree\n'));
    expect(await rig.read('.claude/agents/far.md')).toBe(agent(''));
  });

  it.each([
    ['in braces', '---\n{name: au, description: d, permissionMode: plan}\n---\n'],
    ['that something else refers to', '---\nname: au\nhooks: &h\n  Stop: []\nmetadata: *h\n---\n'],
    ['merged in', '---\nname: au\nx: &x {permissionMode: plan}\n<<: *x\n---\n'],
    ['too long to be read', `---\nname: au\nhooks: ${'x'.repeat(70_000)}\n---\n`],
    ['in a file that is not text', `---\nname: au\nhooks: {}\n---\n\0`],
    ['that ends with the block', '---\nname: au\npermissionMode: plan---\n'],
  ])('is a reason to refuse where it cannot be taken out: %s', async (_, file) => {
    await expect(install({ 'agents/au.md': file })).rejects.toMatchObject({
      code: 'LAYOUT_UNSUPPORTED',
      message: expect.stringContaining('agents/au.md'),
    });
  });
});

describe('programs of bin/', () => {
  const program = async (files: Record<string, string>, executable = ['bin/probe']) =>
    rig.apply({
      install: [
        await rig.store('ops', '1.0.0', { '.claude-plugin/plugin.json': manifest(), ...files }, { executable }),
      ],
      layout: 'loose',
    });
  const byPath = text('description: d', 'Run ${CLAUDE_PLUGIN_ROOT}/bin/probe now; the probe tells.');

  it('are a reason to refuse where they are called by their bare names', async () => {
    const bare = text('description: d', 'Run `probe --all`.');
    for (const files of [{}, { 'commands/a.md': bare }, { 'commands/a.md': bare, 'commands/b.md': byPath }]) {
      await expect(program({ 'bin/probe': '#!/bin/sh\n', ...files })).rejects.toMatchObject({
        code: 'LAYOUT_UNSUPPORTED',
        message: expect.stringContaining('bin/probe'),
      });
    }
  });

  it('are fine where they are called by their path, or are none', async () => {
    await program({ 'bin/probe': '#!/bin/sh\n', 'commands/b.md': byPath });
    await rig.apply({ remove: ['ops'], reason: 'remove' });
    await program({ 'bin/probe': 'x' }, []);
  });

  it('are looked for in each file once, however many there are', async () => {
    const names = Array.from({ length: 5 }, (_, i) => `bin/p${i}`);
    const files = Object.fromEntries([...names, 's.md', 'data.bin'].map((path) => [path, 'x']));
    const read: string[] = [];
    const source = {
      plugin: 'ops',
      root: '/ops',
      manifest: {},
      wantsRoot: false,
      files: Object.keys(files).map((path) => ({ path, executable: path.startsWith('bin/') })),
      read: async (path: string) => {
        read.push(path);
        return Buffer.from(path === 's.md' ? text('a: b', names.slice(missing).join(' ')) : 'x');
      },
    };
    let missing = 0;
    await checkSupported(source);
    expect([...read].sort()).toEqual(Object.keys(files).sort());
    missing = 1;
    await expect(checkSupported(source)).rejects.toMatchObject({ message: expect.stringContaining('bin/p0') });
  });
});

describe('themes', () => {
  it('are copied, those of the folders that plugin.json names instead', async () => {
    const files = { 'themes/dusk.json': '{"base":"dark"}', 'themes/sub/no.json': '{}', 'themes/x.txt': '' };
    expect(await install(files)).toEqual(['themes/dusk.json']);
    const named = { '.claude-plugin/plugin.json': manifest({ version: '2.0.0', experimental: { themes: './t/' } }) };
    await rig.apply({ install: [await rig.store('ops', '2.0.0', { ...named, ...files, 't/dawn.json': '{}' })] });
    expect(await rig.read('.claude/themes/dawn.json')).toBe('{}');
    expect(Object.keys(await rig.snapshot())).not.toContain('.claude/themes/dusk.json');
    await rig.apply({ remove: ['ops'], reason: 'remove' });
    expect(Object.keys(await rig.snapshot())).not.toContain('.claude/themes');
  });
});

describe('output styles', () => {
  const style = text('name: terse\ndescription: d');
  it('are copied, those that plugin.json names instead of the folder’s', async () => {
    expect(await install({ 'output-styles/terse.md': style, 'output-styles/x.txt': '' })).toEqual([
      'output-styles/terse.md',
    ]);
    const named = { '.claude-plugin/plugin.json': manifest({ version: '2.0.0', outputStyles: './sty/' }) };
    const next = { ...named, 'output-styles/terse.md': style, 'sty/n.md': style };
    await rig.apply({ install: [await rig.store('ops', '2.0.0', next)] });
    expect(Object.keys(await rig.snapshot())).toContain('.claude/output-styles/n.md');
    expect(Object.keys(await rig.snapshot())).not.toContain('.claude/output-styles/terse.md');
    await rig.apply({ remove: ['ops'], reason: 'remove' });
    expect(Object.keys(await rig.snapshot())).not.toContain('.claude/output-styles');
  });

  it('of the user’s stay: the plugin is refused', async () => {
    await rig.write('.claude/output-styles/terse.md', 'mine');
    await expect(install({ 'output-styles/terse.md': style })).rejects.toMatchObject({ code: 'NAME_CLASH' });
    expect(await rig.read('.claude/output-styles/terse.md')).toBe('mine');
  });
});

describe('what the layout lacks', () => {
  const start = (command: string) => ({ hooks: { SessionStart: [{ hooks: [{ type: 'command', command }] }] } });
  const skill = (command: string) =>
    text(
      `name: s\ndescription: d\nhooks:\n  Stop:\n    - hooks:\n        - type: command\n          command: '${command}'`,
    );
  const plugin = (extra: object) => ({ '.claude-plugin/plugin.json': manifest(extra) });

  it.each<[string, Record<string, unknown>]>([
    ['.lsp.json', { '.lsp.json': { go: { command: 'gopls' } } }],
    ['lspServers', plugin({ lspServers: { go: { command: 'gopls' } } })],
    ['monitors/monitors.json', { 'monitors/monitors.json': [] }],
    ['monitors', plugin({ experimental: { monitors: './m.json' } })],
    ['settings.json', { 'settings.json': { agent: 'x' } }],
    ['channels', plugin({ channels: [{ server: 's' }] })],
    ['workflows/w.js', { 'workflows/w.js': 'x' }],
    ['Workflows/deep/w.MJS', { 'Workflows/deep/w.MJS': 'x' }],
    ['command inl', plugin({ commands: { inl: { content: 'hello' } } })],
    ['command go', { ...plugin({ commands: { go: { source: './g.md', model: 'opus' } } }), 'g.md': 'x' }],
    ['s.mcpb', { ...plugin({ mcpServers: './s.mcpb' }), 's.mcpb': 'x' }],
    ['output style output-styles/f.md', { 'output-styles/f.md': text('name: f\nforce-for-plugin: true') }],
    ['skills/s/SKILL.md', { 'skills/s/SKILL.md': skill('"$CLAUDE_PLUGIN_ROOT"/x.sh') }],
    [
      'skills/s/SKILL.md',
      { 'skills/s/SKILL.md': skill('sh ${CLAUDE_PLUGIN_ROOT}/x.sh'), 'x.sh': '. "$CLAUDE_PLUGIN_ROOT/l.sh"' },
    ],
    ['CLAUDE_PLUGIN_DATA in s.sh', { 's.sh': 'echo x > "$CLAUDE_PLUGIN_DATA/state"' }],
    ['CLAUDE_PLUGIN_DATA in s', { s: '#!/bin/sh\nls "$CLAUDE_PLUGIN_DATA"' }],
    ['CLAUDE_PLUGIN_DATA in s.mjs', { 's.mjs': 'const dir = process.env.CLAUDE_PLUGIN_DATA;' }],
    ['CLAUDE_PLUGIN_DATA in hooks/hooks.json', { 'hooks/hooks.json': start('ls "$CLAUDE_PLUGIN_DATA"') }],
    ['CLAUDE_PLUGIN_DATA in skills/s/SKILL.md', { 'skills/s/SKILL.md': 'See ${CLAUDE_PLUGIN_DATA}/x' }],
  ])('is refused: %s', async (named, files) => {
    await expect(install(files)).rejects.toMatchObject({
      code: 'LAYOUT_UNSUPPORTED',
      message: expect.stringContaining(named),
      details: { name: 'ops' },
    });
    expect(Object.keys(await rig.snapshot()).filter((path) => !/^\.claude(\/plugins.*)?$/.test(path))).toEqual([]);
  });

  it('and what only speaks of it, or does without, is taken', async () => {
    const files = {
      'README.md': 'It keeps nothing in CLAUDE_PLUGIN_DATA.',
      's.sh': 'd="${CLAUDE_PLUGIN_DATA:-$HOME/.cache}"',
      's.mjs': 'const d = process.env.CLAUDE_PLUGIN_DATA ?? "x";',
      's.py': 'd = os.environ.get("CLAUDE_PLUGIN_DATA", "x")',
      'skills/s/SKILL.md': skill('sh ${CLAUDE_PLUGIN_ROOT}/x.sh'),
      'docs/monitors.json': '[]',
      'CHANGELOG.txt': 'Keeps its state in CLAUDE_PLUGIN_DATA no more.',
      'ci.yaml': 'env: { CLAUDE_PLUGIN_DATA: /tmp }',
      'workflows/release.md': 'How we release.',
    };
    expect(await install(files)).toEqual(['skills/s/SKILL.md']);
  });
});
