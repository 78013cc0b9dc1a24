import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { manifestWith, pluginFiles, textOf } from '../../../../tests/support/plugin-files.ts';
import { MANIFEST_PATH } from '../version/file-types.ts';
import { splitMatcher } from './hooks.ts';
import { translate } from './index.ts';

const agent = '---\nname: a\ndescription: x\n---\nbody\n';

function manifestAfter(fields: Record<string, unknown>, files: Record<string, unknown> = {}) {
  const result = translate(pluginFiles({ [MANIFEST_PATH]: manifestWith(fields), ...files }));
  return { manifest: JSON.parse(textOf(result.files, MANIFEST_PATH)), changes: result.changes };
}

describe('components', () => {
  it('removes default places, present or not', () => {
    const components = {
      ...{ commands: './commands/', agents: './agents', skills: 'skills/' },
      ...{ hooks: './hooks/hooks.json', mcpServers: '.mcp.json' },
    };
    const { manifest, changes } = manifestAfter({ components });
    expect(manifest).toEqual(manifestWith());
    expect(changes.map((c) => c.rule)).toEqual(Array(5).fill('components'));
  });
  it('says other places natively', () => {
    const components = {
      commands: './cmd',
      agents: ['agents/', 'more'],
      skills: './know/',
      hooks: 'h.json',
      mcpServers: './m.json',
    };
    const { manifest } = manifestAfter(
      { components },
      {
        ...{
          'cmd/a.md': 'x',
          'agents/z.md': agent,
          'more/b.md': agent,
          'more/deep/c.md': agent,
          'more/readme.txt': 'x',
        },
        ...{ 'know/k/SKILL.md': agent, 'h.json': { hooks: {} }, 'm.json': { mcpServers: {} } },
      },
    );
    expect(manifest).toEqual(
      manifestWith({
        commands: './cmd/',
        agents: ['./agents/z.md', './more/b.md', './more/deep/c.md'],
        skills: './know/',
        hooks: './h.json',
        mcpServers: './m.json',
      }),
    );
  });
  it('keeps what it cannot say, and lets a native key win', () => {
    const { manifest } = manifestAfter(
      { commands: './own/', components: { commands: './cmd', skills: '../out', hooks: './none.json', toys: './t' } },
      { 'cmd/a.md': 'x', 'own/a.md': 'x' },
    );
    expect(manifest).toEqual(
      manifestWith({ commands: './own/', components: { skills: '../out', hooks: './none.json', toys: './t' } }),
    );
  });
  it('mends native paths that the client refuses', () => {
    const { manifest, changes } = manifestAfter(
      { agents: './team/', commands: 'cmd' },
      { 'team/b.md': agent, 'team/a.md': agent, 'cmd/a.md': 'x' },
    );
    expect(manifest).toEqual(manifestWith({ agents: ['./team/a.md', './team/b.md'], commands: './cmd/' }));
    expect(changes.map((c) => c.rule)).toEqual(['component-path', 'component-path']);
    expect(manifestAfter({ agents: './agents/' }, { 'agents/a.md': agent }).manifest).toEqual(manifestWith());
  });
});

describe('dependencies', () => {
  it('writes the native list and keeps the rest under haivemind', () => {
    const { manifest } = manifestAfter({
      dependencies: {
        plugins: ['a@^1.0.0', 'b', { name: 'c', range: '~2' }, { name: 'd', version: '1', optional: true }],
        optional: ['e@>=1'],
        mcp_servers: ['haivemind'],
        tools: ['jq'],
      },
      haivemind: { machine_groups: ['g'], dependencies: { mcp_servers: ['other'] } },
    });
    expect(manifest.dependencies).toEqual([{ name: 'a', version: '^1.0.0' }, 'b', { name: 'c', version: '~2' }]);
    expect(manifest.haivemind).toEqual({
      machine_groups: ['g'],
      dependencies: { mcp_servers: ['other', 'haivemind'], optional: ['d@1', 'e@>=1'], tools: ['jq'] },
    });
  });
  it('writes a map as the list that is enforced, wherever it stands', () => {
    const map = { a: '^1.0.0', b: '*', c: { version: '~2', optional: true }, tools: ['jq'] };
    const list = [
      { name: 'a', version: '^1.0.0' },
      { name: 'b', version: '*' },
    ];
    const kept = { dependencies: { optional: ['c@~2'], tools: ['jq'] } };
    expect(manifestAfter({ dependencies: map }).manifest).toEqual(
      manifestWith({ dependencies: list, haivemind: kept }),
    );
    const { manifest } = manifestAfter({ haivemind: { dependencies: { ...map, mcp_servers: ['m'] } } });
    expect(manifest.dependencies).toEqual(list);
    expect(manifest.haivemind).toEqual({ dependencies: { mcp_servers: ['m'], ...kept.dependencies } });
    const both = manifestAfter({ dependencies: ['z'], haivemind: { dependencies: { a: 'latest' }, use_cases: ['u'] } });
    expect(both.manifest).toEqual(manifestWith({ dependencies: ['z', 'a'], haivemind: { use_cases: ['u'] } }));
  });
  it('drops an empty object and mends ranges in a native list', () => {
    expect(manifestAfter({ dependencies: {} }).manifest).toEqual(manifestWith());
    const { manifest } = manifestAfter({ dependencies: ['a@^1.0.0', 'b@market', { name: 'c', version: '^1' }] });
    expect(manifest.dependencies).toEqual([{ name: 'a', version: '^1.0.0' }, 'b@market', { name: 'c', version: '^1' }]);
  });
  it('leaves a correct native manifest byte for byte', () => {
    const files = pluginFiles({ [MANIFEST_PATH]: manifestWith({ dependencies: ['a', { name: 'b', version: '^1' }] }) });
    const result = translate(files);
    expect(result.changes).toEqual([]);
    expect(result.files[0]).toBe(files[0]);
  });
});

describe('hook matchers', () => {
  it.each([
    ['Bash(kubectl:*)', [['Bash', 'Bash(kubectl:*)']]],
    [
      'Bash(a:*)|Edit|Write(*.ts)',
      [
        ['Edit', undefined],
        ['Bash', 'Bash(a:*)'],
        ['Write', 'Write(*.ts)'],
      ],
    ],
    ['Bash(echo (x):*)', [['Bash', 'Bash(echo (x):*)']]],
    ['Bash(a|b)', [['Bash', 'Bash(a|b)']]],
    ['Bash(*)', [['Bash', undefined]]],
  ])('splits %s', (matcher, parts) => {
    expect(splitMatcher(matcher)?.map((p) => [p.matcher, p.rule])).toEqual(parts);
  });
  it.each([
    'Bash',
    'Edit|Write',
    '*',
    '',
    'Notebook(Edit|Read)',
    'Task(Create|Update)',
    'Bash(Output)?',
    'Bash(?:Output)',
    'mcp__(a|b)',
    '(Bash)',
    'Bash(',
    'Bash)(',
  ])('leaves the regular expression %j alone', (matcher) => {
    expect(splitMatcher(matcher)).toBeUndefined();
  });
  it('edits only what changes, in the author’s format', () => {
    const before =
      '{\r\n\t"hooks": {\r\n\t\t"PreToolUse": [\r\n\t\t\t{ "matcher": "Bash(a:*)|Edit", "hooks": [ { "type": "command", "command": "x" } ] }\r\n\t\t],\r\n\t\t"Stop": []\r\n\t}\r\n}';
    const { files, changes } = translate(pluginFiles({ [MANIFEST_PATH]: manifestWith(), 'hooks/hooks.json': before }));
    expect(textOf(files, 'hooks/hooks.json')).toBe(
      '{\r\n\t"hooks": {\r\n\t\t"PreToolUse": [\r\n\t\t\t{ "matcher": "Edit", "hooks": [ { "type": "command", "command": "x" } ] },\r\n\t\t\t{ "matcher": "Bash", "hooks": [ { "type": "command", "command": "x", "if": "Bash(a:*)" } ] }\r\n\t\t],\r\n\t\t"Stop": []\r\n\t}\r\n}',
    );
    expect(changes).toHaveLength(1);
  });
  it('works in further files, in the manifest, and not where a condition stands already', () => {
    const entry = { matcher: 'Bash(a:*)', hooks: [{ type: 'command', command: 'x' }] };
    const taken = { matcher: 'Bash(a:*)', hooks: [{ type: 'command', command: 'x', if: 'Bash(b:*)' }] };
    const result = translate(
      pluginFiles({
        [MANIFEST_PATH]: manifestWith({ hooks: ['./more.json', { PreToolUse: [entry] }] }),
        'more.json': `\uFEFF${JSON.stringify({ hooks: { PostToolUse: [entry, taken], SessionStart: [entry] } })}`,
      }),
    );
    const wanted = { matcher: 'Bash', hooks: [{ type: 'command', command: 'x', if: 'Bash(a:*)' }] };
    expect(JSON.parse(textOf(result.files, MANIFEST_PATH)).hooks[1]).toEqual({ PreToolUse: [wanted] });
    expect(JSON.parse(textOf(result.files, 'more.json'))).toEqual({
      hooks: { PostToolUse: [wanted, taken], SessionStart: [entry] },
    });
  });
});

describe('tool grants', () => {
  const wide = 'mcp__plugin_haivemind-core_haivemind';
  const widened = (text: string | Buffer, path = 'commands/a.md') => {
    const servers = { mcpServers: { 'own.db': { command: 'x' }, files: { command: 'x' } } };
    return textOf(
      translate(pluginFiles({ [MANIFEST_PATH]: manifestWith(), '.mcp.json': servers, [path]: text })).files,
      path,
    );
  };
  it.each([
    ['["Bash", "mcp__haivemind__*"]', `["Bash", "mcp__haivemind__*", "${wide}__*"]`],
    ["['mcp__haivemind__recall']", `['mcp__haivemind__recall', '${wide}__recall']`],
    ['Read, mcp__haivemind__*', `Read, mcp__haivemind__*, ${wide}__*`],
    ['"Read, mcp__haivemind__*, Bash"', `"Read, mcp__haivemind__*, ${wide}__*, Bash"`],
    ['mcp__haivemind', `mcp__haivemind, ${wide}`],
    ['mcp__files__read', 'mcp__files__read, mcp__plugin_pp_files__read'],
    [
      '\n  - Bash\n  - "mcp__haivemind__*" # all\n  - Read',
      `\n  - Bash\n  - "mcp__haivemind__*" # all\n  - "${wide}__*"\n  - Read`,
    ],
    [
      '\n- mcp__haivemind__a\n- mcp__haivemind__b',
      `\n- mcp__haivemind__a\n- ${wide}__a\n- mcp__haivemind__b\n- ${wide}__b`,
    ],
    ['[\n  "mcp__haivemind__*"\n]', `[\n  "mcp__haivemind__*", "${wide}__*"\n]`],
    [`mcp__haivemind__*, ${wide}__*`, `mcp__haivemind__*, ${wide}__*`],
    ['mcp__github__*, mcp__haivemindx__y', 'mcp__github__*, mcp__haivemindx__y'],
  ])('widens %j', (given, wanted) => {
    for (const nl of ['\n', '\r\n']) {
      const build = (value: string) =>
        `---\ndescription: x\nallowed-tools: ${value}\nmodel: opus\n---\nmcp__haivemind__* in the body\n`;
      expect(widened(build(given).replaceAll('\n', nl))).toBe(build(wanted).replaceAll('\n', nl));
    }
  });
  it('reads agents and skills, and leaves other files and keys alone', () => {
    const text = '---\nname: a\ntools: mcp__haivemind__*\n---\n';
    expect(widened(text, 'agents/a.md')).toContain(wide);
    expect(widened(text.replace('tools', 'allowed-tools'), 'skills/s/SKILL.md')).toContain(wide);
    expect(widened(text, 'skills/s/notes.md')).toBe(text);
    expect(widened(text, 'README.md')).toBe(text);
    expect(widened(text.replace('tools', 'description'), 'agents/a.md')).not.toContain(wide);
  });
  it('keeps bytes that are not UTF-8', () => {
    const bytes = Buffer.from('---\ndescription: caf\xe9\nallowed-tools: mcp__haivemind__*\n---\n\xff\xfe', 'latin1');
    const { files } = translate(pluginFiles({ [MANIFEST_PATH]: manifestWith(), 'commands/a.md': bytes }));
    const wanted = bytes.toString('latin1').replace('__*', `__*, ${wide}__*`);
    expect(files[1]?.bytes.toString('latin1')).toBe(wanted);
  });
});

describe('names and versions', () => {
  const version = (given: string) => {
    const { files } = translate(pluginFiles({ [MANIFEST_PATH]: manifestWith({ version: given }) }));
    return (JSON.parse(textOf(files, MANIFEST_PATH)) as { version: string }).version;
  };
  it('makes versions of three numbers', () => {
    const made = ['1', 'v1.2', '=1.2.3', '2025.01.02', '1.0-beta.1', '1.2.3+build', ' 1.2.3 '].map(version);
    expect(made).toEqual(['1.0.0', '1.2.0', '1.2.3', '2025.1.2', '1.0.0-beta.1', '1.2.3', '1.2.3']);
    for (const kept of ['1.2.3', '1.0.0-rc.1', 'latest', '1.2.3.4', '', '1.x', '99999999999999999999.0'])
      expect(version(kept)).toBe(kept);
  });
  it('writes a name small, with all that calls it', () => {
    const { files, changes } = translate(
      pluginFiles({
        [MANIFEST_PATH]: manifestWith({
          name: 'MyTools',
          dependencies: ['Other', { name: 'Third', version: '^1.0.0' }],
        }),
        'commands/a.md':
          '---\nallowed-tools: mcp__plugin_MyTools_s__*\n---\nThen /MyTools:b, not NotMyTools:b. MyTools: x\n',
        'hooks/hooks.json': {
          hooks: { Stop: [{ hooks: [{ type: 'mcp_tool', server: 'plugin:MyTools:s', tool: 't' }] }] },
        },
        'docs/x.md': '/MyTools:b',
      }),
    );
    expect(JSON.parse(textOf(files, MANIFEST_PATH))).toMatchObject({
      name: 'mytools',
      dependencies: ['other', { name: 'third', version: '^1.0.0' }],
    });
    expect(textOf(files, 'commands/a.md')).toBe(
      '---\nallowed-tools: mcp__plugin_mytools_s__*\n---\nThen /mytools:b, not NotMyTools:b. MyTools: x\n',
    );
    expect(textOf(files, 'hooks/hooks.json')).toContain('plugin:mytools:s');
    expect(textOf(files, 'docs/x.md')).toBe('/MyTools:b');
    expect(changes.map((c) => [c.file, c.rule])).toContainEqual([MANIFEST_PATH, 'name']);
    expect(translate(files).changes).toEqual([]);
  });
  it('leaves names that are none in small letters either', () => {
    for (const name of ['A B', 'Claude-x', 'ПЛАГИН']) {
      const { changes } = translate(pluginFiles({ [MANIFEST_PATH]: manifestWith({ name }) }));
      expect(changes).toEqual([]);
    }
  });
});

describe('properties', () => {
  const dependency = fc.oneof(
    fc.constantFrom('a', 'A', 'a@^1.0.0', 'b@market', 'Bb@market', 'c@*', '', '@'),
    fc.record(
      { name: fc.constantFrom('d', 'e'), version: fc.constantFrom('^1', 'x y'), optional: fc.boolean() },
      { requiredKeys: ['name'] },
    ),
  );
  const place = fc.constantFrom(
    './commands/',
    'agents',
    './agents/',
    'cmd',
    './h.json',
    'hooks/hooks.json',
    '../x',
    '.mcp.json',
    './none',
  );
  const places = fc.oneof(place, fc.array(place, { maxLength: 3 }));
  const component = fc.constantFrom('commands', 'agents', 'skills', 'hooks', 'mcpServers', 'toys');
  const manifest = fc.record(
    {
      name: fc.constantFrom('pp', 'Pp', 'A b'),
      version: fc.constantFrom('1.0.0', 'v1', '2025.01.02', 'x'),
      components: fc.dictionary(component, places, { maxKeys: 4 }),
      dependencies: fc.oneof(
        fc.array(dependency, { maxLength: 4 }),
        fc.record(
          {
            plugins: fc.array(dependency, { maxLength: 3 }),
            optional: fc.array(dependency, { maxLength: 2 }),
            mcp_servers: fc.array(fc.string()),
            mapped: fc.constantFrom('^1.0.0', 'banana', '', { version: '1' }, 3),
          },
          { requiredKeys: [] },
        ),
        fc.constant('nonsense'),
      ),
      haivemind: fc.constantFrom({}, { dependencies: { optional: ['z'] } }, { dependencies: { y: '1', z: [] } }, 3),
      agents: places,
      commands: places,
      hooks: fc.oneof(places, fc.constant({ PreToolUse: [{ matcher: 'Bash(x)', hooks: [{ type: 'command' }] }] })),
    },
    { requiredKeys: [] },
  );
  const matcher = fc
    .array(fc.constantFrom('Bash', 'Bash(a:*)', 'Edit(*)', 'Task(Create)', '(', ')', 'x'), { maxLength: 4 })
    .map((parts) => parts.join('|'));
  const entry = fc.record({
    matcher,
    hooks: fc.array(fc.constantFrom({}, { type: 'command' }, { if: 'x' }, 7), { maxLength: 3 }),
  });
  const hooks = fc.record({
    hooks: fc.dictionary(fc.constantFrom('PreToolUse', 'PostToolUse', 'Stop'), fc.array(entry, { maxLength: 3 })),
  });
  const grants = fc
    .array(
      fc.constantFrom(
        'mcp__haivemind__*',
        '"mcp__haivemind__a"',
        '- mcp__db__x',
        '[',
        ']',
        ', ',
        '\n  ',
        '\r\n',
        '#',
        'Read',
        'tools: ',
        'mcp__plugin_Pp_s__x',
        'Pp:a',
      ),
      { maxLength: 10 },
    )
    .map((parts) => `---\nallowed-tools: ${parts.join('')}\n---\nbody`);
  const indent = fc.constantFrom(undefined, 2, 4, '\t');

  it('translating twice is translating once', () => {
    fc.assert(
      fc.property(manifest, hooks, grants, grants, indent, (fields, hookFile, command, agentText, space) => {
        const files = pluginFiles({
          [MANIFEST_PATH]: JSON.stringify(manifestWith(fields), null, space),
          'hooks/hooks.json': JSON.stringify(hookFile, null, space),
          'h.json': JSON.stringify(hookFile, null, space),
          '.mcp.json': { mcpServers: { db: {} } },
          ...{ 'commands/a.md': command, 'cmd/b.md': command, 'agents/a.md': agentText },
        });
        const once = translate(files);
        const twice = translate(once.files);
        expect(twice.changes).toEqual([]);
        for (const [i, file] of twice.files.entries()) expect(file).toBe(once.files[i]);
        expect(() => JSON.parse(textOf(once.files, MANIFEST_PATH))).not.toThrow();
        expect(() => JSON.parse(textOf(once.files, 'hooks/hooks.json'))).not.toThrow();
      }),
      { numRuns: 400 },
    );
  });
  it('never throws on random bytes', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((b) => Buffer.from(b)),
      fc.json().map((j) => Buffer.from(j)),
    );
    fc.assert(
      fc.property(bytes, bytes, bytes, bytes, (a, b, c, d) => {
        translate(pluginFiles({ [MANIFEST_PATH]: a, 'hooks/hooks.json': b, '.mcp.json': c, 'commands/a.md': d }));
      }),
    );
  });
});

describe('a key that stands twice in one object', () => {
  const twice = '{"name":"x","version":"1.0.0","description":"d","author":{"name":"A","name":"B"},';
  it('keeps the last one, which is what the client reads', () => {
    const text = `${twice}\n  "hooks": {"Stop": [{"a": 1, "a": 2}]},\n  "\\u0068ooks": "./h.json"\n}`;
    const { files, changes } = translate(
      pluginFiles({ [MANIFEST_PATH]: text, 'h.json': '{"hooks":{},"hooks":{"Stop":[]}}' }),
    );
    expect(textOf(files, MANIFEST_PATH)).toBe(
      '{"name":"x","version":"1.0.0","description":"d","author":{"name":"B"},\n  "\\u0068ooks": "./h.json"\n}',
    );
    expect(JSON.parse(textOf(files, MANIFEST_PATH))).toEqual(JSON.parse(text));
    expect(textOf(files, 'h.json')).toBe('{"hooks":{"Stop":[]}}');
    expect(changes.map((c) => c.rule)).toEqual(['key-twice', 'key-twice', 'key-twice']);
    expect(translate(files).changes).toEqual([]);
  });
  it('translates what the client reads of components', () => {
    const text = `${twice}"components":{"commands":{"x":1},"name":"x"},"components":{"commands":"./commands/"}}`;
    const { files } = translate(pluginFiles({ [MANIFEST_PATH]: text }));
    expect(JSON.parse(textOf(files, MANIFEST_PATH))).not.toHaveProperty('components');
    expect(translate(files).changes).toEqual([]);
  });
});

describe('a skill in the root without a name', () => {
  const skillOf = (text: string, more: object = {}) => {
    const { files, changes } = translate(pluginFiles({ [MANIFEST_PATH]: manifestWith(), 'SKILL.md': text, ...more }));
    expect(translate(files).changes).toEqual([]);
    return { text: textOf(files, 'SKILL.md'), rules: changes.map((c) => c.rule) };
  };

  it.each([
    ['---\ndescription: d\n---\nbody\n', '---\nname: pp\ndescription: d\n---\nbody\n'],
    ['\uFEFF---\r\ndescription: d\r\n---\r\nbody', '\uFEFF---\r\nname: pp\r\ndescription: d\r\n---\r\nbody'],
    ['---\n---\nbody', '---\nname: pp\n---\nbody'],
    ['# Title\r\nbody', '---\r\nname: pp\r\n---\r\n# Title\r\nbody'],
  ])('is called as the plugin: %j', (text, named) => {
    expect(skillOf(text)).toEqual({ text: named, rules: ['skill-name'] });
  });

  it.each([
    ['has one', '---\nname: r\n---\n', {}],
    ['says none', '---\nname:\n---\n', {}],
    ['cannot take a line', '---\n{description: d}\n---\n', {}],
    ['is no YAML', '---\nx: "a\n---\n', {}],
    ['is in another language', '---js\n---\n', {}],
    ['is no skill', '---\ndescription: d\n---\n', { 'skills/s/SKILL.md': '---\ndescription: d\n---\n' }],
  ])('stays as it is where it %s', (_, text, more) => {
    expect(skillOf(text, more)).toEqual({ text, rules: [] });
  });
});
