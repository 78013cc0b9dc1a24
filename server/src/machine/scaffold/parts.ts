import type { ScaffoldComponent } from './index.ts';

export interface ScaffoldPart {
  path: string;
  text: string;
  executable?: boolean;
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

const SERVER = `// A stdio MCP server in plain Node, with one tool. Replace \`hello\` by what yours does.
import { createInterface } from 'node:readline';

const tools = [
  {
    name: 'hello',
    description: 'Greets somebody by name.',
    inputSchema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
  },
];

function answer({ method, params }) {
  if (method === 'initialize') {
    const protocolVersion = params?.protocolVersion ?? '2025-06-18';
    return { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'NAME', version: '0.1.0' } };
  }
  if (method === 'ping') return {};
  if (method === 'tools/list') return { tools };
  if (method === 'tools/call' && params?.name === 'hello') {
    return { content: [{ type: 'text', text: \`Hello, \${params.arguments?.name ?? 'you'}!\` }] };
  }
  return undefined;
}

createInterface({ input: process.stdin }).on('line', (line) => {
  let message;
  try {
    message = JSON.parse(line);
  } catch {
    return;
  }
  if (message.id === undefined) return;
  const result = answer(message);
  const rest = result === undefined ? { error: { code: -32601, message: \`Unknown: \${message.method}\` } } : { result };
  process.stdout.write(\`\${JSON.stringify({ jsonrpc: '2.0', id: message.id, ...rest })}\\n\`);
});
`;

/** The example that each component starts from. */
export const SCAFFOLD_PARTS: Record<ScaffoldComponent, (name: string) => ScaffoldPart[]> = {
  commands: (name) => [
    {
      path: 'commands/hello.md',
      text: `---
description: Say hello and explain what ${name} can do
argument-hint: <name>
---

Greet $ARGUMENTS in one sentence, then list the commands, agents and skills of the plugin ${name} with one line each.
`,
    },
  ],
  agents: (name) => [
    {
      path: 'agents/reviewer.md',
      text: `---
name: reviewer
description: Reviews a change for mistakes before it is committed. Use when asked to check work done with ${name}.
tools: Read, Grep, Glob
---

You review changes. Read what was changed and what it touches, then report what is wrong, the worst first, each with its
file and line. Change nothing yourself.
`,
    },
  ],
  skills: (name) => [
    {
      path: `skills/${name}-basics/SKILL.md`,
      text: `---
name: ${name}-basics
description: What somebody working with ${name} must know. Use when a question touches ${name}.
---

# ${name} basics

Write here what you would tell a new colleague: names, places, the usual steps, the mistakes to avoid.
`,
    },
  ],
  hooks: () => [
    {
      path: 'hooks/hooks.json',
      text: json({
        hooks: {
          PostToolUse: [
            {
              matcher: 'Bash',
              hooks: [
                {
                  type: 'command',
                  if: 'Bash(git commit:*)',
                  command: 'sh',
                  args: [`\${CLAUDE_PLUGIN_ROOT}/hooks/after-commit.sh`],
                  timeout: 10,
                },
              ],
            },
          ],
        },
      }),
    },
    {
      path: 'hooks/after-commit.sh',
      text: `#!/bin/sh
# Runs after each git commit that Claude makes; stdin holds the call as JSON.
cat >/dev/null
printf '{"systemMessage":"Committed."}\\n'
`,
      executable: true,
    },
  ],
  mcp: (name) => [
    {
      path: '.mcp.json',
      text: json({ mcpServers: { [name]: { command: 'node', args: [`\${CLAUDE_PLUGIN_ROOT}/server.mjs`] } } }),
    },
    { path: 'server.mjs', text: SERVER.replace('NAME', name) },
  ],
};
