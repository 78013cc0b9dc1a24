// A stand-in for an existing hAIveMind memory server: MCP over streamable HTTP, with the tools and pages that it has.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Row {
  id: string;
  content: string;
  category?: string;
  tags?: string[];
  machine_id?: string;
  created_at?: string;
  metadata?: Record<string, unknown>;
}

export interface MemoryServerStandIn {
  url: string;
  rows: Row[];
  calls: { tool: string; args: Record<string, unknown> }[];
  close(): Promise<void>;
}

/** @param stream answers as server-sent events, as its library does by default */
export async function memoryServer(rows: Row[], stream = true): Promise<MemoryServerStandIn> {
  const calls: MemoryServerStandIn['calls'] = [];

  function tool(name: string, args: Record<string, unknown>): unknown {
    calls.push({ tool: name, args });
    if (name === 'store_memory') {
      rows.unshift({
        id: `m${rows.length + 1}`,
        content: String(args.content),
        category: String(args.category),
        tags: args.tags as string[],
        machine_id: 'the-server',
      });
      return `Memory stored with id m${rows.length}`;
    }
    const words = String(args.query ?? '')
      .toLowerCase()
      .split(/\W+/)
      .filter(Boolean);
    const since = Date.now() - Number(args.hours ?? 24) * 3600_000;
    const fits = (row: Row): boolean =>
      name === 'search_memories'
        ? words.some((word) => row.content.toLowerCase().includes(word))
        : row.created_at === undefined || Date.parse(row.created_at) >= since;
    const offset = Number(args.offset ?? 0);
    const limit = Number(args.limit ?? 5);
    const found = rows.filter(fits);
    const memories = found.slice(offset, offset + limit);
    return { memories, pagination: { total: found.length, limit, offset, has_more: offset + limit < found.length } };
  }

  const server = createServer(async (req, res) => {
    let text = '';
    for await (const chunk of req) text += chunk;
    const message = JSON.parse(text) as {
      id?: number;
      method: string;
      params?: { name?: string; arguments?: Record<string, unknown> };
    };
    if (message.id === undefined) {
      res.writeHead(202).end();
      return;
    }
    if (message.method !== 'initialize' && req.headers['mcp-session-id'] !== 'session-1') {
      res.writeHead(400).end();
      return;
    }
    const said =
      message.method === 'tools/call' ? tool(message.params?.name ?? '', message.params?.arguments ?? {}) : null;
    const result =
      said === null
        ? { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'memory', version: '1' } }
        : { content: [{ type: 'text', text: typeof said === 'string' ? said : JSON.stringify(said) }] };
    const body = JSON.stringify({ jsonrpc: '2.0', id: message.id, result });
    const type = stream ? 'text/event-stream' : 'application/json';
    res.writeHead(200, { 'content-type': type, 'mcp-session-id': 'session-1' });
    res.end(stream ? `event: message\ndata: ${body}\n\n` : body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    rows,
    calls,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
