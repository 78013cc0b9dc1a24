import type { Readable, Writable } from 'node:stream';
import { HAIVEMIND_VERSION } from '../../contract/version.ts';
import type { Environment } from '../environment.ts';
import { McpServer } from './protocol.ts';
import { toolList } from './tool-list.ts';
import type * as work from './work.ts';

/** Loads what answers tool calls; the first call of it takes some tens of milliseconds. */
export type LoadWork = () => Promise<typeof work>;

const INSTRUCTIONS =
  'hAIveMind carries Claude Code plugins to every machine of a collective. Errors read `CODE: message. hint`; act on the hint.';

/** Serves the tools on the two streams. Everything that a call needs is loaded at the first call. */
export function serveTools(
  streams: { input: Readable; output: Writable },
  environment: Environment,
  loadWork: LoadWork,
  onInitialized: () => void,
): McpServer {
  return new McpServer(streams.input, streams.output, {
    serverInfo: { name: 'haivemind', title: 'hAIveMind', version: HAIVEMIND_VERSION },
    instructions: INSTRUCTIONS,
    listTools: toolList,
    callTool: async (name, args, extras) => (await loadWork()).callTool(name, args, { environment, ...extras }),
    onInitialized,
  });
}
