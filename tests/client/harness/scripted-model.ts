// A model that follows a script: the Messages API, as far as the client uses it, on a loopback port.
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Step = { text: string } | { tool: string; input: Record<string, unknown> };
export interface ModelRequest {
  model: string;
  stream?: boolean;
  system?: unknown;
  messages: { role: string; content: unknown }[];
  tools?: { name: string; description?: string; input_schema?: unknown }[];
}
export type ScriptedStep = Step | ((request: ModelRequest) => Step | Promise<Step>);

export interface ScriptedModel {
  url: string;
  /** Every request of the conversation itself, in order. */
  requests: ModelRequest[];
  close(): Promise<void>;
}

/**
 * Starts a model that answers the n-th request of the conversation with the n-th step and, past the end, with "done".
 * Requests that offer no tools (titles, summaries) are the client's own housekeeping and use up no step.
 */
export async function scriptedModel(steps: ScriptedStep[]): Promise<ScriptedModel> {
  const requests: ModelRequest[] = [];
  const server = createServer((req, res) => {
    answer(req, res).catch((error: unknown) => {
      res.writeHead(500, { 'content-type': 'application/json' });
      res.end(JSON.stringify({ type: 'error', error: { type: 'api_error', message: String(error) } }));
    });
  });

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = (req.url ?? '').split('?')[0];
    const body = await readBody(req);
    if (req.method !== 'POST' || !path?.startsWith('/v1/messages')) {
      res.writeHead(req.method === 'POST' ? 404 : 200, { 'content-type': 'application/json' });
      res.end(req.method === 'HEAD' ? undefined : '{}');
      return;
    }
    if (path.endsWith('/count_tokens')) {
      res.writeHead(200, { 'content-type': 'application/json' });
      res.end('{"input_tokens":10}');
      return;
    }
    const request = JSON.parse(body) as ModelRequest;
    let step: Step = { text: 'ok' };
    if ((request.tools ?? []).length > 0) {
      const scripted = steps[requests.length] ?? { text: 'done' };
      requests.push(request);
      step = typeof scripted === 'function' ? await scripted(request) : scripted;
    }
    if (request.stream) writeStream(res, request.model, step);
    else writeWhole(res, request.model, step);
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function readBody(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function messageHead(model: string) {
  return {
    id: `msg_${randomUUID()}`,
    type: 'message',
    role: 'assistant',
    model,
    content: [] as unknown[],
    stop_reason: null as string | null,
    stop_sequence: null,
    usage: { input_tokens: 10, output_tokens: 1, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 },
  };
}

function writeWhole(res: ServerResponse, model: string, step: Step): void {
  const content =
    'text' in step
      ? { type: 'text', text: step.text }
      : { type: 'tool_use', id: toolUseId(), name: step.tool, input: step.input };
  const message = { ...messageHead(model), content: [content], stop_reason: stopReason(step) };
  res.writeHead(200, { 'content-type': 'application/json' });
  res.end(JSON.stringify(message));
}

function writeStream(res: ServerResponse, model: string, step: Step): void {
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  const send = (type: string, data: Record<string, unknown>) =>
    res.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`);
  const [block, delta] =
    'text' in step
      ? [
          { type: 'text', text: '' },
          { type: 'text_delta', text: step.text },
        ]
      : [
          { type: 'tool_use', id: toolUseId(), name: step.tool, input: {} },
          { type: 'input_json_delta', partial_json: JSON.stringify(step.input) },
        ];
  send('message_start', { message: messageHead(model) });
  send('content_block_start', { index: 0, content_block: block });
  send('content_block_delta', { index: 0, delta });
  send('content_block_stop', { index: 0 });
  send('message_delta', { delta: { stop_reason: stopReason(step), stop_sequence: null }, usage: { output_tokens: 5 } });
  send('message_stop', {});
  res.end();
}

const stopReason = (step: Step) => ('text' in step ? 'end_turn' : 'tool_use');
const toolUseId = () => `toolu_${randomUUID().replaceAll('-', '').slice(0, 24)}`;
