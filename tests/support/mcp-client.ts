// The SDK's own client on a server that was started from a folder, as the real client would start it.
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import type { TempHome } from './temp-home.ts';

export interface ToolAnswer {
  isError: boolean;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: each test knows the form it asks for; the client has checked it against outputSchema
  data: any;
}

export interface McpSession {
  client: Client;
  pid: number;
  /** Calls a tool; the SDK checks structuredContent against the tool's outputSchema. */
  call(name: string, args?: Record<string, unknown>, onProgress?: (message: string) => void): Promise<ToolAnswer>;
  stderr(): string;
  close(): Promise<void>;
}

/** Starts `server/dist/mcp.mjs` of the plugin folder `root` in `home` and initializes it. */
export async function startMcp(root: string, home: TempHome, env: Record<string, string> = {}): Promise<McpSession> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [join(root, 'server', 'dist', 'mcp.mjs')],
    cwd: home.project,
    env: home.env(env),
    stderr: 'pipe',
  });
  let stderr = '';
  transport.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  const client = new Client({ name: 'test', version: '1.0.0' });
  await client.connect(transport);
  // The client learns the output schemas here, and holds every later answer against them.
  await client.listTools();
  return {
    client,
    pid: transport.pid ?? 0,
    call: async (name, args = {}, onProgress) => {
      const result = await client.callTool(
        { name, arguments: args },
        undefined,
        onProgress === undefined ? {} : { onprogress: ({ message }) => onProgress(message ?? '') },
      );
      const content = result.content as { type: string; text: string }[];
      return {
        isError: result.isError === true,
        text: content.map((c) => c.text).join('\n'),
        data: result.structuredContent,
      };
    },
    stderr: () => stderr,
    close: () => client.close(),
  };
}
