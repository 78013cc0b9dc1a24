import * as z from 'zod';
import { HAIVEMIND_VERSION } from '../../contract/version.ts';
import { HaiveError } from '../../domain/errors.ts';
import { type ClientContext, proxiesOf, readCa } from '../context.ts';
import { createSender, type HttpAnswer } from '../hub/http.ts';
import { readAll } from '../hub/http-body.ts';

/** An existing hAIveMind memory server, over MCP's streamable HTTP: only what storing, searching and reading need. */
export interface MemoryServer {
  /** Calls a tool and answers what it says: JSON where it is JSON, else its text. @throws HaiveError HUB_ANSWER_INVALID */
  call(tool: string, args: Record<string, unknown>): Promise<unknown>;
  close(): void;
}

const PROTOCOL_VERSION = '2025-06-18';
const MAX_ANSWER = 16 * 1024 * 1024;

const Reply = z.object({
  id: z.number().optional(),
  result: z.looseObject({}).optional(),
  error: z.looseObject({ message: z.string() }).optional(),
});
const ToolResult = z.looseObject({
  isError: z.boolean().optional(),
  content: z.array(z.looseObject({ type: z.string(), text: z.string().optional() })).default([]),
});

/**
 * Opens a session with a memory server.
 * @throws HaiveError HUB_UNREACHABLE, TIMEOUT, HUB_ANSWER_INVALID
 */
export async function connectMemoryServer(ctx: ClientContext, address: string): Promise<MemoryServer> {
  const url = new URL(address);
  const sender = createSender(await readCa(ctx), proxiesOf(ctx));
  let session: string | undefined;
  let id = 0;

  async function post(message: Record<string, unknown>): Promise<HttpAnswer> {
    const answer = await sender.send({
      method: 'POST',
      url,
      headers: {
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
        'mcp-protocol-version': PROTOCOL_VERSION,
        ...(session === undefined ? {} : { 'mcp-session-id': session }),
      },
      body: Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message })),
      timeoutMs: 30_000,
    });
    if (answer.status >= 300) {
      answer.body.resume();
      throw strange(url, `HTTP ${answer.status}`);
    }
    return answer;
  }

  async function request(method: string, params: Record<string, unknown>): Promise<Record<string, unknown>> {
    const mine = ++id;
    const answer = await post({ id: mine, method, params });
    const given = answer.headers['mcp-session-id'];
    if (typeof given === 'string') session = given;
    const text = (await readAll(answer, MAX_ANSWER)).toString('utf8');
    const stream = (answer.headers['content-type'] ?? '').includes('text/event-stream');
    const reply = messages(text, stream).find((m) => m.id === mine);
    if (reply?.error !== undefined) throw strange(url, reply.error.message);
    if (reply?.result === undefined) throw strange(url, `no answer to ${method}`);
    return reply.result;
  }

  try {
    const clientInfo = { name: 'haivemind', version: HAIVEMIND_VERSION };
    await request('initialize', { protocolVersion: PROTOCOL_VERSION, capabilities: {}, clientInfo });
    (await post({ method: 'notifications/initialized' })).body.resume();
  } catch (thrown) {
    sender.close();
    throw thrown;
  }
  return {
    async call(tool, args) {
      const result = ToolResult.safeParse(await request('tools/call', { name: tool, arguments: args }));
      if (!result.success) throw strange(url, `${tool} answers in another form`);
      const text = result.data.content.map((c) => c.text ?? '').join('\n');
      if (result.data.isError === true) throw strange(url, `${tool}: ${text.slice(0, 500)}`);
      return parsed(text) ?? text;
    },
    close: () => sender.close(),
  };
}

function messages(text: string, stream: boolean): z.output<typeof Reply>[] {
  const bodies = stream
    ? text.split(/\r?\n\r?\n/).map((event) =>
        event
          .split(/\r?\n/)
          .filter((line) => line.startsWith('data:'))
          .map((line) => line.slice(5))
          .join('\n'),
      )
    : [text];
  return bodies.flatMap((body) => {
    const reply = Reply.safeParse(parsed(body));
    return reply.success ? [reply.data] : [];
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function strange(url: URL, why: string): HaiveError {
  return new HaiveError('HUB_ANSWER_INVALID', `The memory server at ${url.origin} cannot be used: ${why}`, {
    hint: 'Is memory_server the MCP address of a hAIveMind memory server? `hv config unset memory_server` goes back to the hub.',
  });
}
