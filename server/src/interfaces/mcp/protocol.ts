import type { Readable, Writable } from 'node:stream';
import type { ListedTool } from './tool-list.ts';

/**
 * The part of MCP that a server with nothing but tools speaks on stdin and stdout. It is our own, because a session waits
 * for `initialize`, and building the SDK's schemas costs more than Node itself (docs/adr). The SDK's client and the
 * inspector's questions are its tests.
 */
export const PROTOCOL_VERSIONS = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05', '2024-10-07'] as const;

export interface ToolResult {
  content: { type: 'text'; text: string }[];
  structuredContent?: Record<string, unknown>;
  isError?: boolean;
}

export interface CallExtras {
  /** Aborts when the client takes the call back. */
  signal: AbortSignal;
  onProgress: (message: string) => void;
}

export interface McpHandlers {
  serverInfo: { name: string; title: string; version: string };
  instructions: string;
  listTools: () => ListedTool[];
  /** Never rejects for what a tool can fail with: such results carry `isError`. */
  callTool: (name: string, args: Record<string, unknown>, extras: CallExtras) => Promise<ToolResult>;
  onInitialized: () => void;
}

const PARSE_ERROR = -32700;
const INVALID_REQUEST = -32600;
const METHOD_NOT_FOUND = -32601;
const INVALID_PARAMS = -32602;
const INTERNAL_ERROR = -32603;

/** A zip of the largest plugin as base64 fits; what is longer is no message. */
const MAX_MESSAGE_CHARS = 256 * 1024 * 1024;

type Id = string | number;
type Json = Record<string, unknown>;
type Answer = { jsonrpc: '2.0'; id: Id | null } & ({ result: object } | { error: { code: number; message: string } });

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isId = (value: unknown): value is Id => typeof value === 'string' || Number.isInteger(value);

class RpcError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Reads messages from `input` until it ends and answers on `output`. */
export class McpServer {
  private readonly handlers: McpHandlers;
  private readonly output: Writable;
  private readonly running = new Map<Id, AbortController>();
  private readonly answering = new Set<Promise<void>>();
  private parts: string[] = [];
  private size = 0;

  constructor(input: Readable, output: Writable, handlers: McpHandlers) {
    this.handlers = handlers;
    this.output = output;
    input.setEncoding('utf8').on('data', (chunk: string) => this.take(chunk));
  }

  /** Resolves once no message is being answered. */
  async idle(): Promise<void> {
    while (this.answering.size > 0) await Promise.all(this.answering);
  }

  /** Aborts every call that still runs. */
  close(): void {
    for (const call of this.running.values()) call.abort();
  }

  private take(chunk: string): void {
    let rest = chunk;
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      this.parts.push(rest.slice(0, end));
      const line = this.parts.join('').trim();
      this.parts = [];
      this.size = 0;
      rest = rest.slice(end + 1);
      if (line !== '') this.track(this.line(line));
    }
    this.size += rest.length;
    if (this.size <= MAX_MESSAGE_CHARS) this.parts.push(rest);
    else this.parts = ['too long'];
  }

  private track(answer: Promise<void>): void {
    this.answering.add(answer);
    void answer.finally(() => this.answering.delete(answer));
  }

  private async line(line: string): Promise<void> {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      this.send(failure(null, PARSE_ERROR, 'Parse error: a message is one line of JSON'));
      return;
    }
    if (!Array.isArray(message)) {
      const answer = await this.message(message);
      if (answer !== undefined) this.send(answer);
      return;
    }
    // Revision 2025-03-26 knows batches: their answers travel together.
    if (message.length === 0) this.send(failure(null, INVALID_REQUEST, 'Invalid request: an empty batch'));
    const answers = (await Promise.all(message.map((one) => this.message(one)))).filter((one) => one !== undefined);
    if (answers.length > 0) this.send(answers);
  }

  /** The answer to one message; undefined for what has none. */
  private async message(message: unknown): Promise<Answer | undefined> {
    if (!isObject(message) || message.jsonrpc !== '2.0') return failure(null, INVALID_REQUEST, 'Invalid request');
    const { id, method } = message;
    const params = isObject(message.params) ? message.params : {};
    // Answers to questions of ours: we ask none.
    if (method === undefined && ('result' in message || 'error' in message)) return undefined;
    if (typeof method !== 'string' || (id !== undefined && !isId(id))) {
      return failure(isId(id) ? id : null, INVALID_REQUEST, 'Invalid request');
    }
    if (id === undefined) {
      this.notified(method, params);
      return undefined;
    }
    try {
      const result = await this.request(id, method, params);
      return result === undefined ? undefined : { jsonrpc: '2.0', id, result };
    } catch (thrown) {
      if (thrown instanceof RpcError) return failure(id, thrown.code, thrown.message);
      process.stderr.write(`haivemind: ${method}: ${String(thrown)}\n`);
      return failure(id, INTERNAL_ERROR, 'Internal error');
    }
  }

  private notified(method: string, params: Json): void {
    if (method === 'notifications/initialized') this.handlers.onInitialized();
    if (method === 'notifications/cancelled' && isId(params.requestId)) this.running.get(params.requestId)?.abort();
  }

  private async request(id: Id, method: string, params: Json): Promise<object | undefined> {
    switch (method) {
      case 'initialize':
        return this.initialize(params);
      case 'ping':
        return {};
      case 'tools/list':
        return { tools: this.handlers.listTools() };
      case 'tools/call':
        return await this.call(id, params);
      default:
        throw new RpcError(METHOD_NOT_FOUND, `Method not found: ${method.slice(0, 100)}`);
    }
  }

  private initialize(params: Json): object {
    const asked = params.protocolVersion;
    if (typeof asked !== 'string') throw new RpcError(INVALID_PARAMS, 'initialize needs protocolVersion');
    const protocolVersion = PROTOCOL_VERSIONS.find((version) => version === asked) ?? PROTOCOL_VERSIONS[0];
    const { serverInfo, instructions } = this.handlers;
    return { protocolVersion, capabilities: { tools: {} }, serverInfo, instructions };
  }

  /** The result of a tool; undefined when the client took the call back, which is not answered. */
  private async call(id: Id, params: Json): Promise<object | undefined> {
    const { name, arguments: args = {}, _meta: meta } = params;
    if (typeof name !== 'string' || !isObject(args)) {
      throw new RpcError(INVALID_PARAMS, 'tools/call needs a name, and arguments as an object');
    }
    const progressToken = isObject(meta) && isId(meta.progressToken) ? meta.progressToken : undefined;
    const controller = new AbortController();
    let progress = 0;
    const onProgress = (message: string): void => {
      if (progressToken === undefined || controller.signal.aborted) return;
      const about = { progressToken, progress: ++progress, message };
      this.send({ jsonrpc: '2.0', method: 'notifications/progress', params: about });
    };
    this.running.set(id, controller);
    try {
      const result = await this.handlers.callTool(name, args, { signal: controller.signal, onProgress });
      return controller.signal.aborted ? undefined : result;
    } finally {
      this.running.delete(id);
    }
  }

  private send(message: object): void {
    this.output.write(`${JSON.stringify(message)}\n`);
  }
}

function failure(id: Id | null, code: number, message: string): Answer {
  return { jsonrpc: '2.0', id, error: { code, message } };
}
