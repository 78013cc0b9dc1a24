// A plugin and a directory marketplace written by hand, to prove the harness without any of our own code.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** A stdio MCP server with one tool `ping`, which appends to the file named by PROBE_LOG and answers `pong NOTE`. */
const SERVER = `
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
const reply = (id, result) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n');
createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (method === 'initialize')
    reply(id, { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'probe', version: '1.0.0' } });
  else if (method === 'tools/list')
    reply(id, { tools: [{ name: 'ping', description: 'Answers pong', inputSchema: { type: 'object', properties: { note: { type: 'string' } } } }] });
  else if (method === 'tools/call') {
    appendFileSync(process.env.PROBE_LOG, 'call ' + params.arguments.note + '\\n');
    reply(id, { content: [{ type: 'text', text: 'pong ' + params.arguments.note }] });
  } else if (id !== undefined) reply(id, {});
});
`;

/** Writes the plugin `probe` into `folder`; its server and hooks append what happens to `log`. */
export async function writeProbePlugin(folder: string, log: string): Promise<void> {
  const note = (text: string) => ({ type: 'command', command: `echo '${text}' >> '${log}'` });
  await writeFiles(folder, {
    '.claude-plugin/plugin.json': {
      name: 'probe',
      version: '1.0.0',
      description: 'Probes the client',
      author: { name: 'T' },
    },
    'commands/greet.md': '---\ndescription: Greets\n---\nSay hello. $ARGUMENTS\n',
    'agents/auditor.md': '---\nname: auditor\ndescription: Audits things\ntools: Read\n---\nYou audit.\n',
    'skills/triage/SKILL.md': '---\nname: triage\ndescription: Sorts incidents\n---\n# Triage\n',
    '.mcp.json': {
      mcpServers: {
        probe: { command: process.execPath, args: ['${CLAUDE_PLUGIN_ROOT}/server.mjs'], env: { PROBE_LOG: log } },
      },
    },
    'server.mjs': SERVER,
    'hooks/hooks.json': {
      hooks: {
        SessionStart: [{ hooks: [note('session start')] }],
        PostToolUse: [
          { matcher: 'Bash(kubectl:*)', hooks: [note('matcher in rule form')] },
          { matcher: 'Bash', hooks: [{ ...note('matcher with if'), if: 'Bash(kubectl:*)' }] },
        ],
      },
    },
  });
}

/** Declares `folder` as marketplace `handmade` that holds each of `names`, and enables them in `claudeDir`'s settings. */
export async function enableByHand(claudeDir: string, folder: string, names = ['probe']): Promise<void> {
  await writeFiles(folder, {
    '.claude-plugin/marketplace.json': {
      name: 'handmade',
      owner: { name: 'T' },
      plugins: names.map((name) => ({ name, source: `./${name}`, description: 'Probes the client' })),
    },
  });
  await writeFiles(claudeDir, {
    'settings.json': {
      extraKnownMarketplaces: { handmade: { source: { source: 'directory', path: folder } } },
      enabledPlugins: Object.fromEntries(names.map((name) => [`${name}@handmade`, true])),
    },
  });
}

/** Writes files below `root`; values that are not text are written as JSON. */
export async function writeFiles(root: string, files: Record<string, unknown>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    const target = join(root, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, typeof content === 'string' ? content : `${JSON.stringify(content, null, 2)}\n`);
  }
}
