import { HAIVEMIND_VERSION } from '../../contract/version.ts';

/**
 * The answer to `initialize`, which a session waits for: given before the SDK is loaded, because building the SDK's
 * schemas takes longer than starting Node. The SDK sees the same request afterwards and does everything else.
 */
export const SERVER_INFO = { name: 'haivemind', title: 'hAIveMind', version: HAIVEMIND_VERSION };
export const CAPABILITIES = { tools: {} };
export const INSTRUCTIONS =
  'hAIveMind carries Claude Code plugins to every machine of a collective. Errors read `CODE: message. hint`; act on the hint.';

/** Revisions that are agreed to as asked; another one is left to the SDK to answer. */
export const REVISIONS: readonly string[] = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05', '2024-10-07'];

export interface Greeting {
  /** Of the request that is answered; the SDK's own answer to it must not be sent again. */
  id: string | number;
  /** One line of JSON-RPC. */
  line: string;
}

/** The answer to the first line of a session; undefined when it is anything but a plain `initialize`. */
export function greet(firstLine: string): Greeting | undefined {
  let message: { jsonrpc?: unknown; id?: unknown; method?: unknown; params?: Record<string, unknown> } | null;
  try {
    message = JSON.parse(firstLine);
  } catch {
    return undefined;
  }
  const { id, params } = message ?? {};
  const revision = params?.protocolVersion;
  const client = params?.clientInfo as { name?: unknown; version?: unknown } | undefined;
  const plain =
    message?.jsonrpc === '2.0' &&
    message.method === 'initialize' &&
    (typeof id === 'string' || Number.isInteger(id)) &&
    typeof revision === 'string' &&
    REVISIONS.includes(revision) &&
    typeof params?.capabilities === 'object' &&
    params.capabilities !== null &&
    typeof client?.name === 'string' &&
    typeof client.version === 'string';
  if (!plain) return undefined;
  const result = {
    protocolVersion: revision,
    capabilities: CAPABILITIES,
    serverInfo: SERVER_INFO,
    instructions: INSTRUCTIONS,
  };
  return { id: id as string | number, line: `${JSON.stringify({ result, jsonrpc: '2.0', id })}\n` };
}
