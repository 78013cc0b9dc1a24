import { describe, expect, it } from 'vitest';
import {
  beyondLauncher,
  type Confinement,
  confinementFor,
  confineText,
  isProgramFile,
  releaseText,
  startsPrograms,
} from './confine.ts';
import { NO_SURFACE } from './surface/index.ts';

const LAUNCHER = '/home/jo ü/.haivemind/bin/sandbox.mjs';
const ALLOWED: Confinement = {
  files: ['./out'],
  hosts: ['api.example.com'],
  environment: ['TOKEN'],
  fallback: 'refuse',
};
const ROOT = '$' + '{CLAUDE_PLUGIN_ROOT}';
const confined = (text: string) => confineText(text, LAUNCHER, ALLOWED);
const started = (...rest: string[]) => ({
  command: 'node',
  args: [LAUNCHER, ROOT, JSON.stringify(ALLOWED), ...rest],
});
const text = (value: unknown) => JSON.stringify(value, null, 2);
const files = (all: Record<string, unknown>) =>
  Object.entries(all).map(([path, value]) => ({
    path,
    bytes: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
  }));
const MANIFEST = '.claude-plugin/plugin.json';
const hook = { type: 'command', command: `sh "${ROOT}/x.sh" | tee 'a b'`, timeout: 10 };

describe('rewriting command lines', () => {
  it('starts hooks and stdio servers through the launcher, and nothing else', () => {
    const hooks = {
      description: 'd',
      hooks: {
        Stop: [
          { hooks: [hook, { type: 'command', command: 'sh', args: ['x y', 'z'] }, { type: 'prompt', prompt: 'p' }] },
        ],
        PreToolUse: [{ matcher: 'Bash', hooks: [{ type: 'http', url: 'https://api.example.com' }] }],
      },
    };
    const done = JSON.parse(confined(text(hooks)));
    expect(done.hooks.Stop[0].hooks).toEqual([
      { ...hook, ...started('--shell', hook.command) },
      { type: 'command', ...started('--', 'sh', 'x y', 'z') },
      { type: 'prompt', prompt: 'p' },
    ]);
    expect(done.hooks.PreToolUse).toEqual(hooks.hooks.PreToolUse);
    const server = {
      mcpServers: { a: { command: 'python3', args: ['-m', 's'], env: { TOKEN: 't' } }, b: { url: 'u' } },
    };
    expect(JSON.parse(confined(text(server))).mcpServers).toEqual({
      a: { env: { TOKEN: 't' }, ...started('--', 'python3', '-m', 's') },
      b: { url: 'u' },
    });
    // Servers may stand without their key, and hooks inside the manifest, also as one of several.
    expect(JSON.parse(confined(text({ a: { command: 'x' } }))).a).toEqual(started('--', 'x'));
    const manifest = {
      name: 'p',
      hooks: ['./more.json', { Stop: [{ hooks: [hook] }] }],
      mcpServers: { s: { command: 'x' } },
    };
    const inline = JSON.parse(confined(text(manifest)));
    expect(inline.hooks[1].Stop[0].hooks[0]).toMatchObject(started('--shell', hook.command));
    expect(inline.mcpServers.s).toEqual(started('--', 'x'));
  });

  it('reaches servers of a list, and what stands beside or below a key that is written once more', () => {
    const list = [{ command: 'x' }];
    expect(JSON.parse(confined(text(list)))).toEqual([started('--', 'x')]);
    expect(JSON.parse(confined(text({ mcpServers: list }))).mcpServers).toEqual([started('--', 'x')]);
    expect(JSON.parse(releaseText(confined(text(list))))).toEqual(list);
    const odd = { hooks: { hooks: {}, Stop: [{ hooks: [hook] }] }, mcpServers: { mcpServers: { command: 'y' } } };
    const done = JSON.parse(confined(text(odd)));
    expect(done.hooks.Stop[0].hooks[0]).toMatchObject(started('--shell', hook.command));
    expect(done.mcpServers.mcpServers).toEqual(started('--', 'y'));
    const empty = { mcpServers: null, z: { command: 'z' } };
    expect(JSON.parse(confined(text(empty))).z).toEqual(started('--', 'z'));
  });

  it('leaves a text without programs byte for byte, and one that is no JSON', () => {
    for (const plain of ['{ "hooks": {} }', '{"name":"p"}', 'not json', '[]', '']) expect(confined(plain)).toBe(plain);
  });

  it('is undone byte for byte where the author named no arguments, and does nothing when done twice', () => {
    const author =
      '{\n    "hooks": {\n\t"Stop": [ { "hooks": [ { "type": "command", "command": "a b" } ] } ]\n    }\n}\n';
    const once = confined(author);
    expect(once).not.toBe(author);
    expect(confined(once)).toBe(once);
    expect(JSON.parse(releaseText(once))).toEqual(JSON.parse(author));
    const withArgs = text({ mcpServers: { a: { command: 'x', args: ['1', '2'] } } });
    expect(JSON.parse(releaseText(confined(withArgs)))).toEqual(JSON.parse(withArgs));
  });

  it('reaches what stands behind a key that is written twice, as the client reads the last one', () => {
    const twice = '{"hooks":{},"hooks":{"Stop":[{"hooks":[{"type":"command","command":"ok","command":"evil"}]}]}}';
    const { hooks } = JSON.parse(confined(twice));
    expect(hooks.Stop[0].hooks).toEqual([{ type: 'command', ...started('--shell', 'evil') }]);
  });

  it('believes no author who writes as if a program were confined already', () => {
    const fake = {
      hooks: {
        Stop: [
          { hooks: [{ type: 'command', command: 'node', args: ['/x/sandbox.mjs', 'r', '{}', '--shell', 'evil'] }] },
        ],
      },
    };
    expect(JSON.parse(confined(text(fake))).hooks.Stop[0].hooks[0]).toEqual({
      type: 'command',
      ...started('--shell', 'evil'),
    });
    const near = {
      hooks: { Stop: [{ hooks: [{ type: 'command', command: 'node', args: ['/x/sandbox.mjs', 'r'] }] }] },
    };
    expect(JSON.parse(confined(text(near))).hooks.Stop[0].hooks[0].args.slice(3)).toEqual([
      '--',
      'node',
      '/x/sandbox.mjs',
      'r',
    ]);
  });
});

describe('what a plugin gets', () => {
  it('is what it declares, or else what its files show', () => {
    const surface = { ...NO_SURFACE, hosts: ['a.example'], environment: ['A'] };
    expect(confinementFor({}, surface, 'warn')).toEqual({
      files: [],
      hosts: ['a.example'],
      environment: ['A'],
      fallback: 'warn',
    });
    const manifest = { haivemind: { permissions: { hosts: ['*.example'], files: ['~/notes'] } } };
    expect(confinementFor(manifest, surface, 'refuse')).toEqual({
      files: ['~/notes'],
      hosts: ['*.example'],
      environment: [],
      fallback: 'refuse',
    });
  });

  it('is out of the launcher’s reach where other parts start programs', () => {
    const plain = { name: 'p', version: '1.0.0' };
    expect(
      beyondLauncher(files({ [MANIFEST]: plain, 'hooks/hooks.json': { hooks: { Stop: [{ hooks: [hook] }] } } })),
    ).toEqual([]);
    const beyond = beyondLauncher(
      files({
        [MANIFEST]: { ...plain, lspServers: {}, hooks: './gone.json', mcpServers: './bundle.mcpb' },
        'bundle.mcpb': 'PK',
        '.mcp.json': { mcpServers: { a: { url: 'u', headersHelper: 'x' } } },
        'Settings.json': { statusLine: {} },
        'skills/s/SKILL.md': '---\nname: s\nhooks:\n  Stop: []\n---\nText',
        'agents/a.md': '---\nname: a\nmcpServers:\n  - plain\n---\nText',
      }),
    );
    expect(beyond).toEqual([
      'lspServers of plugin.json',
      'gone.json, which is no JSON file of the plugin',
      'bundle.mcpb, which is no JSON file of the plugin',
      'a headersHelper in .mcp.json',
      'Settings.json',
      'the front matter of skills/s/SKILL.md',
    ]);
  });

  it('is out of reach for monitors, modules and workflows, wherever they stand, and not for looks', () => {
    const monitors = [{ name: 'm', command: 'x', description: 'd' }];
    const beyond = (manifest: object, further: Record<string, unknown> = {}) =>
      beyondLauncher(files({ [MANIFEST]: { name: 'p', ...manifest }, ...further }));
    expect(beyond({ experimental: { monitors: './m.json', themes: './t' } }, { 'm.json': monitors })).toEqual([
      'experimental.monitors of plugin.json',
      'm.json',
    ]);
    expect(beyond({}, { 'monitors/monitors.json': monitors })).toEqual(['monitors/monitors.json']);
    expect(beyond({}, { 'hooks/hooks.json': { modules: ['./m.js'] } })).toEqual(['the module of hooks/hooks.json']);
    expect(beyond({}, { 'workflows/w.js': '' })).toEqual(['workflows/w.js']);
    expect(beyond({ mcpServers: './s.json' }, { 's.json': [{ command: 'x' }] })).toEqual([]);
    expect(beyond({ experimental: { themes: './t' } }, { 't/x.json': {}, 'lib/w.js': '' })).toEqual([]);
  });

  it('starts programs only where hooks or servers do', () => {
    expect(startsPrograms(files({ [MANIFEST]: { name: 'p' }, 'commands/a.md': '!`ls`' }))).toBe(false);
    for (const path of ['Hooks/hooks.json', 'hook\u017f/hooks.j\u017fon']) {
      expect(
        startsPrograms(files({ [MANIFEST]: { name: 'p' }, [path]: { hooks: { Stop: [{ hooks: [hook] }] } } })),
      ).toBe(true);
      expect(isProgramFile({ name: 'p' }, path)).toBe(true);
    }
    expect(
      startsPrograms(files({ [MANIFEST]: { name: 'p', mcpServers: './m.json' }, 'm.json': { a: { command: 'x' } } })),
    ).toBe(true);
  });
});
