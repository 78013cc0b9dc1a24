import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { manifestWith, pluginFiles } from '../../../../tests/support/plugin-files.ts';
import { Finding as FindingSchema } from '../../contract/schemas.ts';
import { MANIFEST_PATH } from '../file-types.ts';
import { validatePlugin } from './index.ts';

const good = { [MANIFEST_PATH]: manifestWith() };
const M = (fields: Record<string, unknown>) => ({ [MANIFEST_PATH]: manifestWith(fields) });
const md = (front: string) => `---\n${front}\n---\nbody\n`;
const run = { type: 'command', command: 'true' };
const hook = (event: string, entry: unknown) => ({ ...good, 'hooks/hooks.json': { hooks: { [event]: [entry] } } });
const on = (event: string, handler: unknown, matcher?: unknown) =>
  hook(event, { ...(matcher === undefined ? {} : { matcher }), hooks: [handler] });
const server = (value: unknown) => ({ ...good, '.mcp.json': { mcpServers: { s: value } } });

const summary = (contents: Record<string, unknown>, executable: string[] = []) =>
  validatePlugin(pluginFiles(contents, executable)).map((f) => `${f.severity} ${f.code} ${f.file}`);

/** One fault each. */
const FAULTS: [what: string, finding: string, contents: Record<string, unknown>][] = [
  ['no manifest', `error MANIFEST_MISSING ${MANIFEST_PATH}`, { 'README.md': 'x' }],
  ['manifest not JSON', `error JSON_INVALID ${MANIFEST_PATH}`, { [MANIFEST_PATH]: '{x' }],
  ['manifest a list', `error MANIFEST_INVALID ${MANIFEST_PATH}`, { [MANIFEST_PATH]: '[]' }],
  ['name', `error NAME_INVALID ${MANIFEST_PATH}`, M({ name: 'A b' })],
  ['reserved name', `error NAME_RESERVED ${MANIFEST_PATH}`, M({ name: 'claude-x' })],
  ['version', `error VERSION_INVALID ${MANIFEST_PATH}`, M({ version: '1' })],
  ['author as text', `error MANIFEST_INVALID ${MANIFEST_PATH}`, M({ author: 'me' })],
  ['homepage', `error MANIFEST_FIELD ${MANIFEST_PATH}`, M({ homepage: 'x' })],
  ['license', `error MANIFEST_FIELD ${MANIFEST_PATH}`, M({ license: 3 })],
  [
    'userConfig type',
    `error MANIFEST_FIELD ${MANIFEST_PATH}`,
    M({ userConfig: { a: { type: 'strin', title: 't', description: 'd' } } }),
  ],
  ['unknown field', `warning UNKNOWN_FIELD ${MANIFEST_PATH}`, M({ dependancies: [] })],
  ['unknown haivemind field', `warning UNKNOWN_FIELD ${MANIFEST_PATH}`, M({ haivemind: { machine_group: [] } })],
  ['no description', `warning METADATA_MISSING ${MANIFEST_PATH}`, M({ description: '' })],
  ['missing path', `error COMPONENT_PATH_MISSING ${MANIFEST_PATH}`, M({ commands: './nope/' })],
  ['escaping path', `error COMPONENT_PATH_UNSAFE ${MANIFEST_PATH}`, M({ skills: './../x' })],
  ['absolute path', `error COMPONENT_PATH_UNSAFE ${MANIFEST_PATH}`, M({ hooks: '/etc/x.json' })],
  [
    'command not YAML',
    'error FRONT_MATTER_INVALID commands/a.md',
    { ...good, 'commands/a.md': md('\tdescription: x\n a: : {') },
  ],
  ['front matter a list', 'error FRONT_MATTER_INVALID commands/a.md', { ...good, 'commands/a.md': md('- a') }],
  [
    'description a list',
    'error FRONT_MATTER_FIELD commands/a.md',
    { ...good, 'commands/a.md': md('description: [a, b]') },
  ],
  [
    'tools a mapping',
    'error FRONT_MATTER_FIELD commands/a.md',
    { ...good, 'commands/a.md': md('description: x\nallowed-tools: {a: b}') },
  ],
  [
    'tools numbers',
    'error FRONT_MATTER_FIELD commands/a.md',
    { ...good, 'commands/a.md': md('description: x\nallowed-tools: [1]') },
  ],
  ['no front matter', 'warning FRONT_MATTER_MISSING commands/a.md', { ...good, 'commands/a.md': 'body' }],
  [
    'front matter in js',
    'warning FRONT_MATTER_MISSING commands/a.md',
    { ...good, 'commands/a.md': '---js\n{}\n---\n' },
  ],
  [
    'no description in a command',
    'warning DESCRIPTION_MISSING commands/a.md',
    { ...good, 'commands/a.md': md('model: opus') },
  ],
  [
    'long description',
    'warning DESCRIPTION_LONG skills/s/SKILL.md',
    { ...good, 'skills/s/SKILL.md': md(`name: s\ndescription: ${'x'.repeat(2000)}`) },
  ],
  [
    'misspelled tool',
    'warning TOOL_UNKNOWN agents/a.md',
    { ...good, 'agents/a.md': md('name: a\ndescription: x\ntools: Reed, Bash') },
  ],
  [
    'agent name a list',
    'error FRONT_MATTER_FIELD agents/a.md',
    { ...good, 'agents/a.md': md('name: [a]\ndescription: x') },
  ],
  ['agent without name', 'warning AGENT_NAME_MISSING agents/a.md', { ...good, 'agents/a.md': md('description: x') }],
  [
    'permissionMode',
    'warning PERMISSION_MODE_IGNORED agents/a.md',
    { ...good, 'agents/a.md': md('name: a\ndescription: x\npermissionMode: plan') },
  ],
  [
    'unknown model',
    'warning MODEL_UNKNOWN agents/a.md',
    { ...good, 'agents/a.md': md('name: a\ndescription: x\nmodel: gpt') },
  ],
  [
    'two agents of one name',
    'warning NAME_CLAIMED_TWICE agents/b.md',
    { ...good, 'agents/a.md': md('name: a\ndescription: x'), 'agents/b.md': md('name: a\ndescription: x') },
  ],
  [
    'skill of another name',
    'warning SKILL_NAME_MISMATCH skills/s/SKILL.md',
    { ...good, 'skills/s/SKILL.md': md('name: t\ndescription: x') },
  ],
  [
    'skill.md in small letters',
    'warning SKILL_FILE_MISSING skills/s',
    { ...good, 'skills/s/skill.md': md('name: s\ndescription: x') },
  ],
  [
    'skill without folder',
    'warning SKILL_PLACE skills/s.md',
    { ...good, 'skills/s.md': md('name: s\ndescription: x') },
  ],
  ['hooks not JSON', 'error JSON_INVALID hooks/hooks.json', { ...good, 'hooks/hooks.json': '{' }],
  ['hooks a list', 'error HOOK_FORM hooks/hooks.json', { ...good, 'hooks/hooks.json': '[]' }],
  ['hooks not an object', 'error HOOK_FORM hooks/hooks.json', { ...good, 'hooks/hooks.json': { hooks: [] } }],
  ['events outside hooks', 'error HOOK_FORM hooks/hooks.json', { ...good, 'hooks/hooks.json': { PreToolUse: [] } }],
  [
    'event not a list',
    'error HOOK_FORM hooks/hooks.json',
    { ...good, 'hooks/hooks.json': { hooks: { PreToolUse: {} } } },
  ],
  ['entry without hooks', 'error HOOK_FORM hooks/hooks.json', hook('PreToolUse', run)],
  ['matcher a number', 'error HOOK_FORM hooks/hooks.json', on('PreToolUse', run, 3)],
  ['unknown event', 'warning HOOK_EVENT_UNKNOWN hooks/hooks.json', on('PreToolUs', run)],
  ['unknown handler type', 'error HOOK_HANDLER hooks/hooks.json', on('PreToolUse', { type: 'comand', command: 'x' })],
  ['handler type of a prototype', 'error HOOK_HANDLER hooks/hooks.json', on('PreToolUse', { type: 'constructor' })],
  ['command missing', 'error HOOK_HANDLER hooks/hooks.json', on('PreToolUse', { type: 'command' })],
  ['the same on another event', 'warning HOOK_HANDLER hooks/hooks.json', on('Stop', { type: 'prompt' })],
  ['timeout', 'error HOOK_HANDLER hooks/hooks.json', on('PreToolUse', { ...run, timeout: -1 })],
  ['if', 'error HOOK_HANDLER hooks/hooks.json', on('PreToolUse', { ...run, if: 3 })],
  [
    'mcp_tool on SessionStart',
    'error HOOK_MCP_TOOL_EARLY hooks/hooks.json',
    on('SessionStart', { type: 'mcp_tool', server: 's', tool: 't' }),
  ],
  [
    'rule as matcher beside an if',
    'error HOOK_MATCHER_RULE hooks/hooks.json',
    on('PreToolUse', { ...run, if: 'Bash(b:*)' }, 'Bash(a:*)'),
  ],
  ['matcher no expression', 'warning HOOK_MATCHER_INVALID hooks/hooks.json', on('PreToolUse', run, 'Bash(')],
  [
    'missing script',
    'warning SCRIPT_MISSING hooks/hooks.json',
    on('Stop', { ...run, command: '"${CLAUDE_PLUGIN_ROOT}/no.sh"' }),
  ],
  [
    'script outside',
    'warning SCRIPT_OUTSIDE hooks/hooks.json',
    on('Stop', { ...run, command: 'sh', args: ['${CLAUDE_PLUGIN_ROOT}/../x.sh'] }),
  ],
  [
    'root unquoted',
    'warning ROOT_UNQUOTED hooks/hooks.json',
    { ...on('Stop', { ...run, command: 'sh ${CLAUDE_PLUGIN_ROOT}/x.sh' }), 'x.sh': '' },
  ],
  [
    'script not executable',
    'warning SCRIPT_NOT_EXECUTABLE hooks/hooks.json',
    { ...on('Stop', { ...run, command: '"${CLAUDE_PLUGIN_ROOT}/x.sh"' }), 'x.sh': '' },
  ],
  ['.mcp.json not JSON', 'error JSON_INVALID .mcp.json', { ...good, '.mcp.json': '{' }],
  ['.mcp.json a list', 'warning MCP_FORM .mcp.json', { ...good, '.mcp.json': '[]' }],
  ['server as text', 'error MCP_SERVER .mcp.json', server('x')],
  ['server without command', 'error MCP_SERVER .mcp.json', server({})],
  ['args as text', 'error MCP_SERVER .mcp.json', server({ command: 'x', args: 'y' })],
  ['env number', 'error MCP_SERVER .mcp.json', server({ command: 'x', env: { A: 1 } })],
  ['url without type', 'error MCP_SERVER .mcp.json', server({ url: 'https://x/' })],
  ['http without url', 'error MCP_SERVER .mcp.json', server({ type: 'http' })],
  ['bad url', 'error MCP_SERVER .mcp.json', server({ type: 'http', url: 'nope' })],
  ['unknown type', 'error MCP_SERVER .mcp.json', server({ type: 'tcp', url: 'x' })],
  [
    'root with a default',
    'warning ROOT_WITH_DEFAULT .mcp.json',
    server({ command: 'node', args: ['${CLAUDE_PLUGIN_ROOT:-.}/x'] }),
  ],
  ['unsafe path', 'error PATH_UNSAFE a/../b', { ...good, 'a/../b': '' }],
  ['colliding paths', 'error PATH_COLLISION ', { ...good, 'A.txt': '', 'a.txt': '' }],
];

/** What translation mends: an error in the client, a warning here. */
const MENDED: [what: string, finding: string, contents: Record<string, unknown>][] = [
  [
    'dependencies as an object',
    `warning DEPENDENCIES_FORM ${MANIFEST_PATH}`,
    M({ dependencies: { plugins: ['a@^1.0.0'] } }),
  ],
  ['a range in a list', `warning DEPENDENCIES_FORM ${MANIFEST_PATH}`, M({ dependencies: ['a@^1.0.0'] })],
  [
    'components',
    `warning COMPONENTS_IGNORED ${MANIFEST_PATH}`,
    { ...M({ components: { commands: './c/' } }), 'c/a.md': md('description: x') },
  ],
  [
    'agents as a folder',
    `warning COMPONENT_PATH_FORM ${MANIFEST_PATH}`,
    { ...M({ agents: './agents/' }), 'agents/a.md': md('name: a\ndescription: x') },
  ],
  ['rule as matcher', 'warning HOOK_MATCHER_RULE hooks/hooks.json', on('PreToolUse', run, 'Bash(kubectl:*)')],
  ['byte order mark', 'warning BYTE_ORDER_MARK .mcp.json', { ...good, '.mcp.json': '\uFEFF{"mcpServers":{}}' }],
  [
    'short grant',
    'warning GRANT_WITHOUT_SERVER commands/a.md',
    { ...good, 'commands/a.md': md('description: x\nallowed-tools: mcp__haivemind__*') },
  ],
];

const GOOD: [what: string, contents: Record<string, unknown>, executable?: string[]][] = [
  ['the least', good],
  ['a byte order mark in plugin.json', { [MANIFEST_PATH]: `\uFEFF${JSON.stringify(manifestWith())}` }],
  ['a haivemind block', M({ haivemind: { machine_groups: ['a'], global_commands: true, use_cases: ['x'] } })],
  ['native dependencies', M({ dependencies: ['a', 'b@market', { name: 'c', version: '^1.0.0' }] })],
  ['a hint that is not YAML', { ...good, 'commands/a.md': md('description: Do this: now\nargument-hint: [a|b] [c]') }],
  ['a command in a folder', { ...good, 'commands/sub/a.md': md('description: x\nallowed-tools: Bash(git:*), Read') }],
  [
    'an agent',
    { ...good, 'agents/a.md': md('name: a\ndescription: x\ntools: [Read, "mcp__github__*"]\nmodel: sonnet') },
  ],
  ['a skill', { ...good, 'skills/s/SKILL.md': md('name: s\ndescription: x'), 'skills/s/data/x.json': '{' }],
  [
    'paths of its own',
    {
      ...M({ commands: ['./c/a.md'], skills: './k/' }),
      'c/a.md': md('description: x'),
      'k/q/SKILL.md': md('name: q\ndescription: x'),
    },
  ],
  ['a hook with if', on('PreToolUse', { ...run, if: 'Bash(git:*)', timeout: 5 }, 'Bash')],
  ['an expression as matcher', on('PreToolUse', run, 'Task(Create|Update)|mcp__.*')],
  ['hooks in the manifest', M({ hooks: { Stop: [{ hooks: [run] }] } })],
  [
    'all handler types',
    {
      ...good,
      'hooks/hooks.json': {
        hooks: {
          Stop: [
            {
              hooks: [
                run,
                { type: 'prompt', prompt: 'x' },
                { type: 'agent', prompt: 'x' },
                { type: 'http', url: 'https://x' },
                { type: 'mcp_tool', server: 's', tool: 't' },
              ],
            },
          ],
        },
      },
    },
  ],
  ['a script', { ...on('Stop', { ...run, command: '"${CLAUDE_PLUGIN_ROOT}/x.sh"' }), 'x.sh': '#!/bin/sh\n' }, ['x.sh']],
  [
    'a program and its arguments',
    { ...on('Stop', { ...run, command: 'sh', args: ['${CLAUDE_PLUGIN_ROOT}/x.sh'] }), 'x.sh': '' },
  ],
  [
    'servers',
    {
      ...good,
      '.mcp.json': {
        mcpServers: {
          a: { command: 'x', env: { A: 'b' } },
          b: { type: 'http', url: '${user_config.url}' },
          c: { type: 'ws', url: 'wss://x' },
        },
      },
    },
  ],
  ['servers without the outer key', { ...good, '.mcp.json': { s: { command: 'x' } } }],
];

describe('validatePlugin', () => {
  it.each(FAULTS)('finds: %s', (_what, finding, contents) => {
    expect(summary(contents)).toEqual([finding]);
  });
  it.each(MENDED)('warns of what publishing mends: %s', (_what, finding, contents) => {
    expect(summary(contents)).toEqual([finding]);
    expect(validatePlugin(pluginFiles(contents))[0]?.fix).toMatch(/^Publishing translates this/);
  });
  it.each(GOOD)('has nothing to say on: %s', (_what, contents, executable = []) => {
    expect(summary(contents, executable)).toEqual([]);
  });
  it('gives findings in the contract’s shape, errors first, with line and column', () => {
    const findings = validatePlugin(
      pluginFiles({
        ...M({ foo: 1 }),
        'hooks/hooks.json': '{\n  "hooks": {\n    "PreToolUse": [\n      { "matcher": 3, "hooks": [] }\n    ]\n  }\n}',
      }),
    );
    for (const finding of findings) expect(FindingSchema.parse(finding)).toEqual(finding);
    expect(findings.map((f) => [f.severity, f.line, f.column])).toEqual([
      ['error', 4, 9],
      ['warning', 8, 3],
    ]);
    const [front] = validatePlugin(pluginFiles({ ...good, 'agents/a.md': md('name: a\ndescription: x\nmodel: gpt') }));
    expect([front?.line, front?.column]).toEqual([4, 1]);
    const [json] = validatePlugin(pluginFiles({ ...good, '.mcp.json': '{\n  "a": x\n}' }));
    expect([json?.code, json?.line]).toEqual(['JSON_INVALID', 2]);
  });
  it('suggests what was meant', () => {
    const message = (contents: Record<string, unknown>) => validatePlugin(pluginFiles(contents))[0]?.message;
    expect(message(M({ dependancies: [] }))).toContain('Did you mean dependencies?');
    expect(message(on('PreToolUs', run))).toContain('Did you mean PreToolUse?');
    expect(message(on('Stop', { type: 'comand' }))).toContain('Did you mean command?');
    expect(message(M({ zzzzzz: 1 }))).not.toContain('Did you mean');
  });
  it('finds only warnings in the examples of the design', () => {
    for (const name of ['devops-essentials', 'base-memory-tools']) {
      const root = join(import.meta.dirname, '../../../../tests/fixtures', name);
      const paths = (readdirSync(root, { recursive: true }) as string[]).filter((p) =>
        statSync(join(root, p)).isFile(),
      );
      const findings = validatePlugin(
        paths.map((path) => ({ path, bytes: readFileSync(join(root, path)), executable: false })),
      );
      expect(findings.filter((f) => f.severity === 'error')).toEqual([]);
      expect(findings.length > 0).toBe(name === 'devops-essentials');
    }
  });
});

describe('whatever it is given', () => {
  const files = ['.mcp.json', MANIFEST_PATH, 'hooks/hooks.json', 'commands/a.md', 'agents/a.md', 'skills/s/SKILL.md'];
  it('never throws', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((b) => Buffer.from(b)),
      fc.json().map((j) => Buffer.from(j)),
      fc.string({ unit: 'binary' }).map((s) => Buffer.from(`---\n${s}\n---\n`)),
    );
    const shape = fc.dictionary(fc.oneof(fc.constantFrom(...files), fc.string()), bytes, { maxKeys: 8 });
    fc.assert(fc.property(shape, (contents) => Array.isArray(validatePlugin(pluginFiles(contents)))));
  });
  it.each([
    ['one long line', 'x'.repeat(10_000_000)],
    ['deep JSON', '['.repeat(500_000)],
    ['deep closed JSON', `${'{"hooks":'.repeat(50_000)}1${'}'.repeat(50_000)}`],
    ['long front matter', `---\na: ${'x'.repeat(10_000_000)}\n---\n`],
    ['deep front matter', `---\na: ${'[{a: '.repeat(10_000)}\n---\n`],
    [
      'ten thousand faults',
      JSON.stringify({
        hooks: { PreToolUse: Array(10_000).fill(1) },
        mcpServers: Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [i, 1])),
      }),
    ],
    [
      'rules without end',
      JSON.stringify({
        hooks: {
          PreToolUse: Array(5000).fill({ matcher: 'Bash(a:*)|Edit(b)', hooks: [{ type: 'command', command: 'x' }] }),
        },
      }),
    ],
    [
      'quotes and roots',
      JSON.stringify({
        hooks: {
          Stop: [
            { hooks: [{ type: 'command', command: '"'.repeat(200_000) + '${CLAUDE_PLUGIN_ROOT}/'.repeat(10_000) }] },
          ],
        },
      }),
    ],
    ['paths without end', JSON.stringify({ name: 'pp', version: '1.0.0', commands: Array(60_000).fill('./x/y') })],
    [
      'names nobody knows',
      JSON.stringify(Object.fromEntries(Array.from({ length: 40_000 }, (_, i) => [`dependancy${i}`, 1]))),
    ],
    ['parentheses', `---\nallowed-tools: ${'('.repeat(60_000)}\n---\n`],
    ['dashes and grants', `---\nallowed-tools: ${'mcp__haivemind__*,'.repeat(3000)}\n---\n`],
    ['spaces', `---\n${' '.repeat(60_000)}\nallowed-tools: ${' -'.repeat(20_000)}\n---\n`],
  ])(
    'ends soon on %s',
    (_what, text) => {
      const many = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`data/${i}.txt`, '']));
      for (const path of files) validatePlugin(pluginFiles({ ...good, ...many, [path]: text }));
    },
    20_000,
  );
});
