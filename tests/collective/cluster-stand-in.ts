// A stand-in for a cluster: answers only requests that the documented REST API knows, and only with the body it wants.
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Seen {
  method: string;
  path: string;
  query: Record<string, string>;
  body: unknown;
  authorization: string | undefined;
}
export interface Reply {
  status?: number;
  body?: unknown;
  headers?: Record<string, string>;
}
interface Route {
  method: string;
  path: RegExp;
  /** Query parameters that the API documents for it. */
  query: string[];
  body: 'none' | ((body: Record<string, unknown>) => boolean);
}

const NAME = '[^/_][^/]*';
const has =
  (...keys: string[]) =>
  (body: Record<string, unknown>) =>
    keys.every((key) => key in body);

/** The documented requests that the plugin may make, of Elasticsearch 8/9 and OpenSearch 2/3. */
const ROUTES: Route[] = [
  { method: 'GET', path: /^\/$/, query: [], body: 'none' },
  { method: 'GET', path: /^\/_cluster\/health$/, query: [], body: 'none' },
  { method: 'GET', path: /^\/_cat\/nodes$/, query: ['format', 'h'], body: 'none' },
  { method: 'GET', path: /^\/_cat\/indices$/, query: ['format', 'h', 'health'], body: 'none' },
  { method: 'GET', path: /^\/_cluster\/allocation\/explain$/, query: [], body: 'none' },
  { method: 'GET', path: new RegExp(`^/${NAME}/_(count|settings|mapping)$`), query: [], body: 'none' },
  { method: 'HEAD', path: new RegExp(`^/${NAME}$`), query: [], body: 'none' },
  { method: 'PUT', path: new RegExp(`^/${NAME}$`), query: [], body: has('settings', 'mappings') },
  {
    method: 'POST',
    path: /^\/_reindex$/,
    query: ['wait_for_completion', 'slices'],
    body: (b) => 'index' in (b.source as object) && 'index' in (b.dest as object),
  },
  { method: 'GET', path: /^\/_tasks\/[\w-]+(:|%3A)\d+$/, query: [], body: 'none' },
  { method: 'PUT', path: new RegExp(`^/${NAME}/_settings$`), query: [], body: has('index') },
  { method: 'POST', path: new RegExp(`^/${NAME}/_refresh$`), query: [], body: 'none' },
  { method: 'GET', path: /^\/_snapshot$/, query: [], body: 'none' },
  { method: 'GET', path: new RegExp(`^/_snapshot/${NAME}/(_all|${NAME})$`), query: [], body: 'none' },
  { method: 'POST', path: new RegExp(`^/_snapshot/${NAME}/_verify$`), query: [], body: 'none' },
  {
    method: 'PUT',
    path: new RegExp(`^/_snapshot/${NAME}/${NAME}$`),
    query: ['wait_for_completion'],
    body: has('indices', 'include_global_state'),
  },
  {
    method: 'POST',
    path: new RegExp(`^/_snapshot/${NAME}/${NAME}/_restore$`),
    query: ['wait_for_completion'],
    body: has('indices', 'include_global_state', 'rename_pattern', 'rename_replacement'),
  },
  { method: 'DELETE', path: new RegExp(`^/_snapshot/${NAME}/${NAME}$`), query: [], body: 'none' },
];

/** What a request breaks of the documented API; null when it fits. */
export function breach({ method, path, query, body }: Seen): string | null {
  const route = ROUTES.find((r) => r.method === method && r.path.test(path));
  if (route === undefined) return `no such request: ${method} ${path}`;
  const unknown = Object.keys(query).filter((key) => !route.query.includes(key));
  if (unknown.length > 0) return `${path} knows no ${unknown.join(', ')}`;
  if (route.body === 'none') return body === undefined ? null : `${method} ${path} takes no body`;
  return typeof body === 'object' && body !== null && route.body(body as Record<string, unknown>)
    ? null
    : `${method} ${path}: wrong body`;
}

export interface StandIn {
  url: string;
  seen: Seen[];
  breaches: string[];
  close(): Promise<void>;
}

/** @param answer by `METHOD PATH`; what it leaves out is 404 */
export async function standIn(answer: (seen: Seen) => Reply | undefined): Promise<StandIn> {
  const seen: Seen[] = [];
  const breaches: string[] = [];
  const server = createServer(async (req, res) => {
    const request = await read(req);
    seen.push(request);
    const wrong = breach(request);
    if (wrong !== null) breaches.push(wrong);
    const missing: Reply = { status: 404, body: { error: { type: 'not_found', reason: request.path }, status: 404 } };
    const { status = 200, body = {}, headers = {} } = answer(request) ?? missing;
    res.writeHead(status, { 'content-type': 'application/json', ...headers });
    res.end(request.method === 'HEAD' ? undefined : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    breaches,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

async function read(req: IncomingMessage): Promise<Seen> {
  const url = new URL(req.url ?? '/', 'http://x');
  let text = '';
  for await (const chunk of req) text += chunk;
  return {
    method: req.method ?? '',
    path: url.pathname,
    query: Object.fromEntries(url.searchParams),
    body: text === '' ? undefined : JSON.parse(text),
    authorization: req.headers.authorization,
  };
}
