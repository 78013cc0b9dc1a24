// A plugin whose every part says its version: a server, a hook and a skill.

const SERVER = (version: string): string => `
import { createInterface } from 'node:readline';
import { readFileSync } from 'node:fs';
const reply = (id, result) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n');
createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (method === 'initialize')
    reply(id, { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'v', version: '${version}' } });
  else if (method === 'tools/list')
    reply(id, { tools: [{ name: 'ping', description: 'Says the version', inputSchema: { type: 'object' } }] });
  else if (method === 'tools/call') {
    const file = readFileSync(new URL('data.txt', import.meta.url), 'utf8');
    reply(id, { content: [{ type: 'text', text: 'server ${version} data ' + file }] });
  } else if (id !== undefined) reply(id, {});
});
`;

export const PING = 'mcp__plugin_versioned_v__ping';

/** The files of one version; its hook adds a line to `log` after each use of Bash. */
export function versionedFiles(version: string, log: string): Record<string, string> {
  const command = '"${CLAUDE_PLUGIN_ROOT}/hook.sh"';
  return {
    'hooks/hooks.json': JSON.stringify({
      hooks: { PostToolUse: [{ matcher: 'Bash', hooks: [{ type: 'command', command }] }] },
    }),
    'hook.sh': `#!/bin/sh\necho "hook ${version} data $(cat "$(dirname "$0")/data.txt")" >> '${log}'\n`,
    '.mcp.json': JSON.stringify({
      mcpServers: { v: { command: process.execPath, args: ['${CLAUDE_PLUGIN_ROOT}/server.mjs'] } },
    }),
    'server.mjs': SERVER(version),
    'data.txt': version,
    [`commands/only-${version.replaceAll('.', '-')}.md`]: `---\ndescription: Only in ${version}\n---\nhello\n`,
  };
}
