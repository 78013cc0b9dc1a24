import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { HAIVEMIND_VERSION } from '../../contract/version.ts';
import type { Environment } from '../environment.ts';
import { toolList } from './tool-list.ts';
import type * as work from './work.ts';

/** Loads what answers tool calls; the first call of it takes some tens of milliseconds. */
export type LoadWork = () => Promise<typeof work>;

const INSTRUCTIONS =
  'hAIveMind carries Claude Code plugins to every machine of a collective. Errors read `CODE: message. hint`; act on the hint.';

/**
 * The MCP server, not yet connected. Everything a call needs is loaded at the first call, so that `initialize` and
 * `tools/list` cost nothing but the protocol.
 */
export function createServer(environment: Environment, loadWork: LoadWork): Server {
  const server = new Server(
    { name: 'haivemind', title: 'hAIveMind', version: HAIVEMIND_VERSION },
    { capabilities: { tools: {} }, instructions: INSTRUCTIONS },
  );
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: toolList() }));
  server.setRequestHandler(CallToolRequestSchema, async (request, extra) => {
    const { callTool } = await loadWork();
    const progressToken = request.params._meta?.progressToken;
    let step = 0;
    return await callTool(request.params.name, request.params.arguments ?? {}, {
      environment,
      signal: extra.signal,
      onProgress: (message) => {
        if (progressToken === undefined) return;
        // A client that has gone away needs no progress.
        extra
          .sendNotification({ method: 'notifications/progress', params: { progressToken, progress: ++step, message } })
          .catch(() => {});
      },
    });
  });
  return server;
}
