// A stand-in for a cluster: answers only requests that the documented REST API knows, and only with the body it wants.
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
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
/** Keys of a JSON object: those it must have, and those that the API documents besides; of some also what is below. */
interface Shape {
  must: string[];
  may?: string[];
  below?: Record<string, Shape>;
}
interface Route {
  method: string;
  path: RegExp;
  /** Query parameters that the API documents for it. */
  query: string[];
  body: 'none' | Shape;
}

// Names as both products allow them: lower case, no wildcards, no reserved first letter.
const INDEX = '(?![-_+.])[^/A-Z*?,# ]+';
const NAME = '(?![_])[^/A-Z*?,# ]+';

/**
 * The documented requests that the plugin may make, of Elasticsearch 8 and 9 and of OpenSearch 2 and 3: what is here is in the API of
 * all four. Parameters and keys that only one of them knows are left out, so that using one is a breach.
 */
const ROUTES: Route[] = [
  { method: 'GET', path: /^\/$/, query: [], body: 'none' },
  { method: 'GET', path: /^\/_cluster\/health$/, query: ['level', 'timeout', 'wait_for_status'], body: 'none' },
  { method: 'GET', path: /^\/_cat\/nodes$/, query: ['format', 'h', 's', 'bytes'], body: 'none' },
  { method: 'GET', path: /^\/_cat\/indices$/, query: ['format', 'h', 's', 'health', 'bytes'], body: 'none' },
  {
    method: 'GET',
    path: /^\/_cluster\/allocation\/explain$/,
    query: ['include_yes_decisions', 'include_disk_info'],
    body: 'none',
  },
  { method: 'GET', path: new RegExp(`^/${INDEX}/_(count|settings|mapping)$`), query: [], body: 'none' },
  { method: 'HEAD', path: new RegExp(`^/${INDEX}$`), query: [], body: 'none' },
  {
    method: 'PUT',
    path: new RegExp(`^/${INDEX}$`),
    query: ['timeout', 'wait_for_active_shards'],
    body: {
      must: ['settings', 'mappings'],
      may: ['aliases'],
      // Settings that the cluster itself gives an index are refused in this place.
      below: {
        settings: {
          must: ['index'],
          below: {
            index: { must: [], may: ['number_of_shards', 'number_of_replicas', 'refresh_interval', 'analysis'] },
          },
        },
      },
    },
  },
  {
    method: 'POST',
    path: /^\/_reindex$/,
    query: ['wait_for_completion', 'slices', 'refresh', 'requests_per_second', 'timeout', 'wait_for_active_shards'],
    body: {
      must: ['source', 'dest'],
      may: ['conflicts', 'max_docs', 'script'],
      below: {
        source: { must: ['index'], may: ['query', 'remote', 'size', 'slice', '_source'] },
        dest: { must: ['index'], may: ['op_type', 'pipeline', 'routing', 'version_type'] },
      },
    },
  },
  { method: 'GET', path: /^\/_tasks\/[\w-]+(:|%3A)\d+$/, query: ['wait_for_completion', 'timeout'], body: 'none' },
  {
    method: 'PUT',
    path: new RegExp(`^/${INDEX}/_settings$`),
    query: ['preserve_existing', 'timeout'],
    body: { must: ['index'], below: { index: { must: [], may: ['number_of_replicas', 'refresh_interval'] } } },
  },
  { method: 'POST', path: new RegExp(`^/${INDEX}/_refresh$`), query: [], body: 'none' },
  { method: 'GET', path: /^\/_snapshot$/, query: ['local'], body: 'none' },
  { method: 'GET', path: new RegExp(`^/_snapshot/${NAME}/(_all|${NAME})$`), query: ['verbose'], body: 'none' },
  { method: 'POST', path: new RegExp(`^/_snapshot/${NAME}/_verify$`), query: ['timeout'], body: 'none' },
  {
    method: 'PUT',
    path: new RegExp(`^/_snapshot/${NAME}/${NAME}$`),
    query: ['wait_for_completion'],
    body: { must: ['indices', 'include_global_state'], may: ['ignore_unavailable', 'partial', 'metadata'] },
  },
  {
    method: 'POST',
    path: new RegExp(`^/_snapshot/${NAME}/${NAME}/_restore$`),
    query: ['wait_for_completion'],
    body: {
      must: ['indices', 'include_global_state', 'rename_pattern', 'rename_replacement'],
      may: ['ignore_unavailable', 'include_aliases', 'partial', 'index_settings', 'ignore_index_settings'],
    },
  },
  { method: 'DELETE', path: new RegExp(`^/_snapshot/${NAME}/${NAME}$`), query: [], body: 'none' },
];

/** Where an object breaks its shape; null when it fits. */
function unlike(value: unknown, shape: Shape, at: string): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return `${at || 'the body'} is no object`;
  const keys = Object.keys(value);
  const missing = shape.must.filter((key) => !keys.includes(key));
  if (missing.length > 0) return `${at}${missing.join(', ')} is missing`;
  const unknown = keys.filter((key) => ![...shape.must, ...(shape.may ?? [])].includes(key));
  if (unknown.length > 0) return `${at}${unknown.join(', ')} is not documented`;
  for (const [key, below] of Object.entries(shape.below ?? {})) {
    const wrong = unlike((value as Record<string, unknown>)[key], below, `${at}${key}.`);
    if (wrong !== null) return wrong;
  }
  return null;
}

/** What a request breaks of the documented API; null when it fits. */
export function breach({ method, path, query, body }: Seen): string | null {
  const route = ROUTES.find((r) => r.method === method && r.path.test(path));
  if (route === undefined) return `no such request: ${method} ${path}`;
  const unknown = Object.keys(query).filter((key) => !route.query.includes(key));
  if (unknown.length > 0) return `${path} knows no ${unknown.join(', ')}`;
  if (route.body === 'none') return body === undefined ? null : `${method} ${path} takes no body`;
  const wrong = unlike(body, route.body, '');
  return wrong === null ? null : `${method} ${path}: wrong body: ${wrong}`;
}

export interface StandIn {
  url: string;
  seen: Seen[];
  breaches: string[];
  close(): Promise<void>;
}

/**
 * @param answer by `METHOD PATH`; what it leaves out is 404
 * @param tls key and certificate: it then speaks https alone
 */
export async function standIn(
  answer: (seen: Seen) => Reply | undefined,
  tls?: { key: Buffer; cert: Buffer },
): Promise<StandIn> {
  const seen: Seen[] = [];
  const breaches: string[] = [];
  const handle: RequestListener = async (req, res) => {
    const request = await read(req);
    seen.push(request);
    const wrong = breach(request);
    if (wrong !== null) breaches.push(wrong);
    const missing: Reply = { status: 404, body: { error: { type: 'not_found', reason: request.path }, status: 404 } };
    const { status = 200, body = {}, headers = {} } = answer(request) ?? missing;
    res.writeHead(status, { 'content-type': 'application/json', ...headers });
    res.end(request.method === 'HEAD' ? undefined : JSON.stringify(body));
  };
  const server = tls === undefined ? createServer(handle) : createTlsServer(tls, handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
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
