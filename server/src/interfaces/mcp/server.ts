import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { CallToolRequestSchema, type CallToolResult, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import type { Environment } from '../environment.ts';
import type { ToolResult } from './call-tool.ts';
import { CAPABILITIES, INSTRUCTIONS, SERVER_INFO } from './greeting.ts';
import { toolList } from './tool-list.ts';
import type * as work from './work.ts';

/** Called by our own hooks; not among the listed tools, so that no model sees it and no session pays for it. */
const COUNT_TOOL = 'count_use';

/** Loads what answers tool calls; the first call of it takes some tens of milliseconds. */
export type LoadWork = () => Promise<typeof work>;

export interface ToolServer {
  /** Not yet connected. */
  server: Server;
  /** Resolves once every message that was taken is answered. */
  idle: () => Promise<void>;
}

/** The MCP server. Everything a call needs is loaded at the first call, so that `initialize` costs nothing but the protocol. */
export function createServer(environment: Environment, loadWork: LoadWork): ToolServer {
  const server = new Server(SERVER_INFO, { capabilities: CAPABILITIES, instructions: INSTRUCTIONS });
  const running = new Set<Promise<unknown>>();
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: toolList() }));
  server.setRequestHandler(CallToolRequestSchema, async (request, extra): Promise<CallToolResult> => {
    const progressToken = request.params._meta?.progressToken;
    let progress = 0;
    const onProgress = (message: string): void => {
      if (progressToken === undefined) return;
      const params = { progressToken, progress: ++progress, message };
      // A client that has gone away needs no progress.
      extra.sendNotification({ method: 'notifications/progress', params }).catch(() => {});
    };
    const { name, arguments: args = {} } = request.params;
    const answer = loadWork().then(
      ({ callTool, countUseOf }): Promise<ToolResult> =>
        name === COUNT_TOOL
          ? countUseOf(environment, args)
          : callTool(name, args, { environment, signal: extra.signal, onProgress }),
    );
    running.add(answer);
    try {
      return { ...(await answer) };
    } finally {
      running.delete(answer);
    }
  });
  const idle = async (): Promise<void> => {
    // The SDK answers in later turns of the event loop than it reads and than a handler ends.
    await turn();
    while (running.size > 0) {
      await Promise.allSettled(running);
      await turn();
    }
  };
  return { server, idle };
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10));
