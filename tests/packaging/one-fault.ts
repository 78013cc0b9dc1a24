// Plugins with one fault each, plugins whose fault publishing mends, and good ones: what validation and agreement with the
// client are tested on.
import { MANIFEST_PATH } from '../../server/src/domain/version/file-types.ts';
import { manifestWith } from '../support/plugin-files.ts';

export const good = { [MANIFEST_PATH]: manifestWith() };
export const M = (fields: Record<string, unknown>) => ({ [MANIFEST_PATH]: manifestWith(fields) });
export const md = (front: string) => `---\n${front}\n---\nbody\n`;
export const run = { type: 'command', command: 'true' };
const hook = (event: string, entry: unknown) => ({ ...good, 'hooks/hooks.json': { hooks: { [event]: [entry] } } });
export const on = (event: string, handler: unknown, matcher?: unknown) =>
  hook(event, { ...(matcher === undefined ? {} : { matcher }), hooks: [handler] });
const server = (value: unknown) => ({ ...good, '.mcp.json': { mcpServers: { s: value } } });

/** One fault each. */
export const FAULTS: [what: string, finding: string, contents: Record<string, unknown>][] = [
  ['no manifest', `error MANIFEST_MISSING ${MANIFEST_PATH}`, { 'README.md': 'x' }],
  ['manifest not JSON', `error JSON_INVALID ${MANIFEST_PATH}`, { [MANIFEST_PATH]: '{x' }],
  ['manifest a list', `error MANIFEST_INVALID ${MANIFEST_PATH}`, { [MANIFEST_PATH]: '[]' }],
  ['name', `error NAME_INVALID ${MANIFEST_PATH}`, M({ name: 'A b' })],
  ['reserved name', `error NAME_RESERVED ${MANIFEST_PATH}`, M({ name: 'claude-x' })],
  ['version', `warning VERSION_INVALID ${MANIFEST_PATH}`, M({ version: 'latest' })],
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
  ['a server timeout as text', 'error MCP_SERVER .mcp.json', server({ command: 'x', timeout: '5' })],
  ['alwaysLoad as text', 'error MCP_SERVER .mcp.json', server({ command: 'x', alwaysLoad: 'yes' })],
  ['oauth as text', 'error MCP_SERVER .mcp.json', server({ type: 'http', url: 'https://x', oauth: 'x' })],
  [
    'a port as text',
    'error MCP_SERVER .mcp.json',
    server({ type: 'http', url: 'https://x', oauth: { callbackPort: '31' } }),
  ],
  ['tools as names', 'error MCP_SERVER .mcp.json', server({ type: 'http', url: 'https://x', tools: ['*'] })],
  [
    'an unknown field of a language server',
    `error MANIFEST_FIELD ${MANIFEST_PATH}`,
    M({ lspServers: { l: { command: 'x', extensionToLanguage: { '.x': 'x' }, foo: 1 } } }),
  ],
  ['a schema as number', `error MANIFEST_FIELD ${MANIFEST_PATH}`, M({ $schema: 5 })],
  ['a missing theme', `error COMPONENT_PATH_MISSING ${MANIFEST_PATH}`, M({ experimental: { themes: './themes/' } })],
  [
    'a marketplace with a space',
    `error DEPENDENCIES_FORM ${MANIFEST_PATH}`,
    M({ dependencies: [{ name: 'a', marketplace: 'm b' }] }),
  ],
  [
    'servers in a text file',
    `error COMPONENT_PATH_FORM ${MANIFEST_PATH}`,
    { ...M({ mcpServers: './x.md' }), 'x.md': 'x' },
  ],
  [
    'language servers in a text file',
    `error MANIFEST_FIELD ${MANIFEST_PATH}`,
    { ...M({ lspServers: './x.md' }), 'x.md': 'x' },
  ],
  ['a rule as matcher on Stop', 'warning HOOK_MATCHER_RULE hooks/hooks.json', on('Stop', run, 'Bash(git:*)')],
  ['arguments as text', 'error HOOK_HANDLER hooks/hooks.json', on('PreToolUse', { ...run, args: 'x' })],
  ['a shell of its own', 'error HOOK_HANDLER hooks/hooks.json', on('PermissionRequest', { ...run, shell: 'zsh' })],
  ['async as text', 'error HOOK_HANDLER hooks/hooks.json', on('PreToolUse', { ...run, async: 'yes' })],
  ['once as text', 'error HOOK_HANDLER hooks/hooks.json', on('PreToolUse', { ...run, once: 'yes' })],
  ['a variable as address', 'error HOOK_HANDLER hooks/hooks.json', on('PreToolUse', { type: 'http', url: '${X}/y' })],
  [
    'a header as number',
    'error HOOK_HANDLER hooks/hooks.json',
    on('PreToolUse', { type: 'http', url: 'https://x', headers: { A: 1 } }),
  ],
  [
    'input as text',
    'error HOOK_HANDLER hooks/hooks.json',
    on('PreToolUse', { type: 'mcp_tool', server: 's', tool: 't', input: 'x' }),
  ],
  [
    'model as number',
    'error HOOK_HANDLER hooks/hooks.json',
    on('PreToolUse', { type: 'prompt', prompt: 'x', model: 1 }),
  ],
  [
    'a condition as matcher',
    'warning HOOK_MATCHER_CONDITION hooks/hooks.json',
    on('PreToolUse', run, 'tool == "Bash" && tool_input.command matches "rm"'),
  ],
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
    'missing script with a space',
    'warning SCRIPT_MISSING hooks/hooks.json',
    { ...on('Stop', { ...run, command: '"${CLAUDE_PLUGIN_ROOT}/bin/run us.sh"' }), 'bin/run me.sh': '' },
  ],
  [
    'script with a space that may not run',
    'warning SCRIPT_NOT_EXECUTABLE hooks/hooks.json',
    { ...on('Stop', { ...run, command: '"${CLAUDE_PLUGIN_ROOT}/bin/run me.sh"' }), 'bin/run me.sh': '' },
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
  [
    'script with the line ends of Windows',
    'warning SCRIPT_LINE_ENDS x.sh',
    { ...good, 'x.sh': '#!/bin/sh\r\ntrue\r\n' },
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
  ['servers a number', 'error MCP_FORM .mcp.json', { ...good, '.mcp.json': '3' }],
  ["a host's own type", 'error MCP_SERVER .mcp.json', server({ type: 'sdk', name: 's' })],
  ['option that is not declared', 'error MCP_SERVER .mcp.json', server({ command: 'x', args: ['${user_config.key}'] })],
  [
    "option in a headers' helper",
    'error MCP_SERVER .mcp.json',
    {
      ...M({ userConfig: { key: { type: 'string', title: 't', description: 'd' } } }),
      '.mcp.json': { mcpServers: { s: { type: 'http', url: 'https://x/', headersHelper: 'x ${user_config.key}' } } },
    },
  ],
  ['hooks file without hooks', 'error HOOK_FORM hooks/hooks.json', { ...good, 'hooks/hooks.json': {} }],
  ['shell', 'error FRONT_MATTER_FIELD commands/a.md', { ...good, 'commands/a.md': md('description: x\nshell: fish') }],
  [
    'name a number',
    'error FRONT_MATTER_FIELD commands/a.md',
    { ...good, 'commands/a.md': md('description: x\nname: 3') },
  ],
  [
    'allowed-tools of an agent',
    'error FRONT_MATTER_FIELD agents/a.md',
    { ...good, 'agents/a.md': md('name: a\ndescription: x\nallowed-tools: 3') },
  ],
  [
    'option with a dash',
    `error MANIFEST_FIELD ${MANIFEST_PATH}`,
    M({ userConfig: { 'a-b': { type: 'string', title: 't', description: 'd' } } }),
  ],
  ['channel without server', `error MANIFEST_FIELD ${MANIFEST_PATH}`, M({ channels: [{}] })],
  [
    'language server without extensions',
    `error MANIFEST_FIELD ${MANIFEST_PATH}`,
    M({ lspServers: { l: { command: 'x', extensionToLanguage: {} } } }),
  ],
  ['command of nothing', `error MANIFEST_FIELD ${MANIFEST_PATH}`, M({ commands: { a: { description: 'x' } } })],
  [
    'skills as a file',
    `error COMPONENT_PATH_FORM ${MANIFEST_PATH}`,
    { ...M({ skills: './x.md' }), 'x.md': md('name: x\ndescription: x') },
  ],
  ['no version', `warning VERSION_MISSING ${MANIFEST_PATH}`, M({ version: undefined })],
  ['dependency on itself', `warning DEPENDENCY_ON_ITSELF ${MANIFEST_PATH}`, M({ dependencies: ['pp'] })],
  [
    'range of no version',
    `error DEPENDENCY_UNSATISFIABLE ${MANIFEST_PATH}`,
    M({ dependencies: [{ name: 'q', version: '>2.0.0 <1.0.0' }] }),
  ],
  [
    'command and skill of one name',
    'warning NAME_CLAIMED_TWICE skills/a/SKILL.md',
    { ...good, 'commands/a.md': md('description: x'), 'skills/a/SKILL.md': md('name: a\ndescription: x') },
  ],
  [
    'two servers of one name',
    `warning NAME_CLAIMED_TWICE ${MANIFEST_PATH}`,
    { ...M({ mcpServers: { s: { command: 'x' } } }), '.mcp.json': { mcpServers: { s: { command: 'y' } } } },
  ],
  [
    'arguments without a hint',
    'note ARGUMENT_HINT_MISSING commands/a.md',
    { ...good, 'commands/a.md': `${md('description: x')}Do $ARGUMENTS\n` },
  ],
  ['unsafe path', 'warning PATH_UNSAFE a/../b', { ...good, 'a/../b': '' }],
  ['colliding paths', 'warning PATH_COLLISION ', { ...good, 'A.txt': '', 'a.txt': '' }],
];

/** What translation mends: an error in the client, a warning here. */
export const MENDED: [what: string, finding: string, contents: Record<string, unknown>][] = [
  [
    'a skill in the root without a name',
    'warning SKILL_NAME_MISSING SKILL.md',
    { ...good, 'SKILL.md': md('description: x') },
  ],
  ['dependencies as a map', `warning DEPENDENCIES_FORM ${MANIFEST_PATH}`, M({ dependencies: { a: '^1.0.0' } })],
  [
    'a map of dependencies under haivemind',
    `warning DEPENDENCIES_FORM ${MANIFEST_PATH}`,
    M({ haivemind: { dependencies: { a: '^1.0.0' } } }),
  ],
  [
    'dependencies as an object',
    `warning DEPENDENCIES_FORM ${MANIFEST_PATH}`,
    M({ dependencies: { plugins: ['a@^1.0.0'] } }),
  ],
  ['capitals in the name', `warning NAME_INVALID ${MANIFEST_PATH}`, M({ name: 'MyTools' })],
  ['capitals in a dependency', `warning NAME_INVALID ${MANIFEST_PATH}`, M({ dependencies: ['Other'] })],
  ['a version of two numbers', `warning VERSION_INVALID ${MANIFEST_PATH}`, M({ version: 'v1.0' })],
  ['a date as version', `warning VERSION_INVALID ${MANIFEST_PATH}`, M({ version: '2025.01.02' })],
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
  [
    'short server name as matcher',
    'warning HOOK_MATCHER_SERVER hooks/hooks.json',
    { ...on('PreToolUse', run, 'mcp__s__.*'), '.mcp.json': { mcpServers: { s: { command: 'x' } } } },
  ],
  ['byte order mark', 'warning BYTE_ORDER_MARK .mcp.json', { ...good, '.mcp.json': '\uFEFF{"mcpServers":{}}' }],
  [
    'short grant',
    'warning GRANT_WITHOUT_SERVER commands/a.md',
    { ...good, 'commands/a.md': md('description: x\nallowed-tools: mcp__haivemind__*') },
  ],
];

export const GOOD: [what: string, contents: Record<string, unknown>, executable?: string[]][] = [
  ['a skill in the root with a name', { ...good, 'SKILL.md': md('name: r\ndescription: x') }],
  ['a SKILL.md in the root that is none', { ...good, 'SKILL.md': 'x', 'skills/s/SKILL.md': md('description: x') }],
  ['the least', good],
  ...[
    { command: '"${CLAUDE_PLUGIN_ROOT}/bin/run me.sh" now' },
    { command: 'sh "${CLAUDE_PLUGIN_ROOT}"/x "${CLAUDE_PLUGIN_ROOT}/bin/run me.sh"' },
    { command: `sh -c 'sh "\${CLAUDE_PLUGIN_ROOT}"/x; "\${CLAUDE_PLUGIN_ROOT}/x --flag"'` },
    { command: '${CLAUDE_PLUGIN_ROOT}/bin/run me.sh', args: ['${CLAUDE_PLUGIN_ROOT}/bin/run me.sh'] },
  ].map((how, i): [string, Record<string, unknown>, string[]] => [
    `a script with a space, ${i}`,
    { ...on('Stop', { ...run, ...how }), 'bin/run me.sh': '', x: '' },
    ['bin/run me.sh'],
  ]),
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
  [
    'flags of a handler',
    on('PreToolUse', { ...run, async: true, once: true, shell: 'bash', statusMessage: 'x', env: { A: 1 } }),
  ],
  [
    'a question with a model',
    on('Stop', { type: 'prompt', prompt: 'x', model: 'haiku', timeout: 0.5, description: 'why' }),
  ],
  ['a list of names as matcher', on('PreToolUse', run, '^(Edit|Write|NotebookEdit)$')],
  [
    'front matter of every kind',
    {
      ...good,
      'commands/a.md':
        '\uFEFF---\r\n# note\r\ndescription: >-\r\n  Two\r\n  lines\r\nallowed-tools:\r\n  - Bash(npm run test:*)\r\n  - Read\r\nmodel: claude-opus-4-5-20251101\r\ndisable-model-invocation: true\r\n---\r\nbody\r\n',
      'agents/a.md': md(
        'name: a\ndescription: "Use. <example>\\nuser: \\"x: y\\"</example>"\ntools: "*"\nmodel: inherit\ncolor: pink\nskills: s',
      ),
      'skills/s/SKILL.md': md(
        'name: s\ndescription: |\n  When: always\nallowed-tools: [Read, "Bash(git:*)"]\nmetadata:\n  version: 1\nlicense: MIT\nversion: 1.0.0',
      ),
      'skills/s/references/x.md': '# no front matter',
      'skills/s/scripts/run.py': 'pass',
    },
  ],
  [
    'what lies about in a repository',
    {
      ...good,
      '.github/workflows/ci.yml': 'a: b',
      'node_modules/x/package.json': '{}',
      '.codex-plugin/plugin.json': '{}',
      'CLAUDE.md': '# x',
      LICENSE: 'MIT',
      'commands/.gitkeep': '',
    },
  ],
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
      ...M({ userConfig: { url: { type: 'string', title: 't', description: 'd' } } }),
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
  ['a server at no address yet', server({ type: 'http', url: '' })],
  ['a streaming server', server({ type: 'streamable-http', url: 'https://x/', headers: { A: '${TOKEN}' } })],
  [
    'an option of a channel',
    {
      ...M({ channels: [{ server: 's', userConfig: { k: { type: 'string', title: 't', description: 'd' } } }] }),
      '.mcp.json': { mcpServers: { s: { command: 'x', env: { K: '${user_config.k}' } } } },
    },
  ],
  ['the root as a skill folder', { ...M({ skills: '.' }), 'k/SKILL.md': md('name: k\ndescription: x') }],
  ['a matcher of the real name', on('PostToolUse', run, 'mcp__plugin_pp_s__.*')],
  ["a matcher of somebody else's server", on('PostToolUse', run, 'mcp__github__create_issue')],
  ['a command with a hint', { ...good, 'commands/a.md': `${md('description: x\nargument-hint: <n>')}Do $ARGUMENTS\n` }],
  ['a command in another shell', { ...good, 'commands/a.md': md('description: x\nshell: PowerShell') }],
  ['a description in numbers', { ...good, 'commands/a.md': md('description: 12') }],
  ['a language server', M({ lspServers: { l: { command: 'x', extensionToLanguage: { '.x': 'x' } } } })],
  [
    'a language server with all its fields',
    M({
      lspServers: {
        l: {
          command: 'x',
          args: ['--stdio'],
          extensionToLanguage: { '.x': 'x' },
          initializationOptions: { a: 1 },
          startupTimeout: 5,
          restartOnCrash: true,
          maxRestarts: 3,
          diagnostics: false,
        },
      },
    }),
  ],
  [
    'a server with all its fields',
    server({
      type: 'http',
      url: 'https://x/',
      timeout: 5000,
      alwaysLoad: true,
      oauth: { clientId: 'x', callbackPort: 3118, scopes: 'read' },
      tools: [{ name: 't', permission_policy: 'always_ask' }],
      disabled: false,
    }),
  ],
  ['commands by name', { ...M({ commands: { a: { source: './c/a.md' } } }), 'c/a.md': md('description: x') }],
  ['inline commands', M({ commands: { a: { content: 'Say hello', description: 'x' } } })],
  ['the host it runs on', M({ engines: { 'claude-code': '>=2.1.0' }, metadata: { a: 1 } })],
  ['settings of its own', M({ settings: {}, defaultEnabled: true, license: 'MIT', homepage: 'https://x/' })],
  [
    'two hook events',
    { ...good, 'hooks/hooks.json': { hooks: { Stop: [{ hooks: [run] }], SessionEnd: [{ hooks: [run] }] } } },
  ],
  ['an argument as text', { ...good, 'commands/a.md': `${md('description: x')}It costs $100 or \\$ARGUMENT\n` }],
];
