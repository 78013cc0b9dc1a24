import type { Endpoint } from '../../contract/endpoint.ts';
import { type BodyIn, ENDPOINTS, type EndpointName, type QueryIn, type Reply } from '../../contract/endpoints.ts';
import { checkProtocol, PROTOCOL, PROTOCOL_HEADER } from '../../contract/protocol.ts';
import { HAIVEMIND_VERSION } from '../../contract/version.ts';
import { ERRORS, type ErrorCode, HaiveError } from '../../domain/errors.ts';
import type { ProxySettings } from '../../domain/proxy.ts';
import { PROOF_HEADER, type Question } from '../../domain/signing/machine-proof.ts';
import { createSender, type HttpAnswer } from './http.ts';
import { readAll } from './http-body.ts';

const MAX_JSON = 64 * 1024 * 1024;

export interface CallOptions<N extends EndpointName> {
  /** Values for the {placeholders} of the path. */
  params?: Record<string, string>;
  query?: QueryIn<N>;
  body?: BodyIn<N> | AsyncIterable<Uint8Array> | Buffer;
  headers?: Record<string, string>;
  /** Milliseconds without a sign of life; the client's own limit when absent. */
  timeoutMs?: number;
  signal?: AbortSignal | undefined;
}

export interface HubClient {
  readonly url: string;
  readonly token: string | undefined;
  /** Calls one endpoint of the contract and returns its checked reply (bytes as a Buffer). */
  call<N extends EndpointName>(name: N, options?: CallOptions<N>): Promise<Reply<N>>;
  /** The same with If-None-Match; null when the hub says that nothing changed. */
  callIfChanged<N extends EndpointName>(
    name: N,
    etag: string | undefined,
    options?: CallOptions<N>,
  ): Promise<{ value: Reply<N>; etag: string | undefined } | null>;
  /** The raw answer (status below 300), for bodies that are read as they arrive. */
  open<N extends EndpointName>(name: N, options?: CallOptions<N>): Promise<HttpAnswer>;
  close(): void;
}

/** The proof for a question; undefined where this machine has no key. @param at the hub's time where it is known to differ */
export type Prove = (question: Question, at?: Date) => Promise<string | undefined>;

export interface HubOptions {
  /** Base address, as `hubUrl` returns it. */
  url: string;
  token?: string | undefined;
  /** Milliseconds without a sign of life; 30,000 when absent. */
  timeoutMs?: number | undefined;
  /** PEM text of an own certificate authority. */
  ca?: string | undefined;
  proxies?: ProxySettings | undefined;
  /** Signs what this machine's token is shown for. */
  prove?: Prove | undefined;
}

/**
 * The one form of a hub's address: http or https, no trailing slash, no query.
 * @throws HaiveError CONFIG_INVALID
 */
export function hubUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new HaiveError('CONFIG_INVALID', `${text} is not an address`, {
      cause,
      hint: 'Give it as https://HOST:7420.',
    });
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new HaiveError('CONFIG_INVALID', `${text} is not http or https`, { hint: 'Give it as https://HOST:7420.' });
  if (url.username !== '' || url.password !== '')
    throw new HaiveError('CONFIG_INVALID', 'The address holds a user name', { hint: 'Give the token with --token.' });
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/**
 * Typed calls to one hub, with keep-alive.
 * Every call throws HaiveError: the hub's own code, or HUB_UNREACHABLE, TIMEOUT, HUB_ANSWER_INVALID, PROTOCOL_MISMATCH.
 */
export function connectHub(options: HubOptions): HubClient {
  const url = hubUrl(options.url);
  const sender = createSender(options.ca, options.proxies);

  async function open<N extends EndpointName>(
    name: N,
    call: CallOptions<N> = {},
    again = false,
    hubTime?: Date,
  ): Promise<HttpAnswer> {
    const endpoint: Endpoint = ENDPOINTS[name];
    const raw = call.body !== undefined && (Buffer.isBuffer(call.body) || isIterable(call.body));
    const body = call.body === undefined ? undefined : raw ? call.body : Buffer.from(JSON.stringify(call.body));
    const path = `${fillPath(endpoint.path, call.params ?? {})}${queryText(call.query)}`;
    const { method } = endpoint;
    // "Is it still this?" is asked all the time and needs no proof as long as the answer is yes.
    const bare = call.headers?.['if-none-match'] !== undefined;
    const proof =
      bare && !again ? undefined : await options.prove?.({ method, path, token: options.token ?? '' }, hubTime);
    const answer = await sender.send({
      method,
      url: new URL(`${url}${path}`),
      headers: {
        'user-agent': `hv/${HAIVEMIND_VERSION}`,
        [PROTOCOL_HEADER]: String(PROTOCOL),
        ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
        ...(body !== undefined && !raw ? { 'content-type': 'application/json' } : {}),
        ...(proof === undefined ? {} : { [PROOF_HEADER]: proof }),
        ...call.headers,
      },
      ...(body === undefined ? {} : { body: body as Buffer | AsyncIterable<Uint8Array> }),
      timeoutMs: call.timeoutMs ?? options.timeoutMs ?? 30_000,
      signal: call.signal,
    });
    if (answer.status >= 400) {
      const error = problem(url, answer.status, await readAll(answer, 1024 * 1024));
      const due = error.code === 'PROOF_REQUIRED' && bare;
      const repeatable = body === undefined || Buffer.isBuffer(body);
      if (options.prove !== undefined && !again && repeatable && (due || isOffTime(error))) {
        return open(name, call, true, hubTimeIn(error));
      }
      throw error;
    }
    const stated = answer.headers[PROTOCOL_HEADER];
    try {
      checkProtocol(typeof stated === 'string' ? stated : undefined, 'hub');
    } catch (thrown) {
      answer.body.resume();
      throw thrown;
    }
    if (answer.status >= 300 && answer.status !== 304) {
      answer.body.resume();
      const { location = '' } = answer.headers;
      const to = URL.canParse(location) ? ` to ${new URL(location).origin}` : '';
      throw notAHub(url, `it redirects (${answer.status})${to}`, undefined, IN_BETWEEN);
    }
    const { 'content-type': type = '', 'content-encoding': coding = 'identity' } = answer.headers;
    if (/^text\/html\b/i.test(type)) {
      answer.body.resume();
      throw notAHub(url, 'it is a web page', undefined, IN_BETWEEN);
    }
    if (answer.status !== 304 && coding !== 'identity') {
      answer.body.resume();
      throw notAHub(url, `its answer is compressed (${coding})`, undefined, COMPRESSED);
    }
    return answer;
  }

  async function read<N extends EndpointName>(name: N, answer: HttpAnswer): Promise<Reply<N>> {
    const endpoint: Endpoint = ENDPOINTS[name];
    const bytes = await readAll(answer, MAX_JSON);
    return typeof endpoint.reply === 'string' ? (bytes as Reply<N>) : parseReply(name, url, bytes);
  }

  return {
    url,
    token: options.token,
    open: (name, call) => open(name, call),
    call: async (name, call) => {
      const answer = await open(name, call);
      if (answer.status === 304) throw notAHub(url, 'it answers 304 to a plain request');
      return read(name, answer);
    },
    callIfChanged: async (name, etag, call) => {
      const headers = { ...call?.headers, ...(etag === undefined ? {} : { 'if-none-match': etag }) };
      const answer = await open(name, { ...call, headers });
      if (answer.status === 304) {
        answer.body.resume();
        if (etag === undefined) throw notAHub(url, 'it answers 304 to a plain request');
        return null;
      }
      const value = await read(name, answer);
      return { value, etag: answer.headers.etag };
    },
    close: () => sender.close(),
  };
}

/** Whether a proof was refused for the time in it alone: this machine's clock may be wrong. */
export const isOffTime = ({ code, details }: HaiveError): boolean =>
  code === 'PROOF_INVALID' && details?.why === 'stale';

/** The hub's clock, as a refusal of a proof tells it: what to sign with. */
export function hubTimeIn({ details }: HaiveError): Date | undefined {
  const time = new Date(String(details?.hub_time));
  return Number.isNaN(time.getTime()) ? undefined : time;
}

/** What a hub answers in JSON, checked. @param url of the hub @throws HaiveError HUB_ANSWER_INVALID */
export function parseReply<N extends EndpointName>(name: N, url: string, bytes: Buffer): Reply<N> {
  const { reply }: Endpoint = ENDPOINTS[name];
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw notAHub(url, 'the answer is not JSON', cause);
  }
  if (typeof reply === 'string') throw notAHub(url, `${name} is not answered in JSON`);
  const parsed = reply.safeParse(value);
  if (parsed.success) return parsed.data as Reply<N>;
  const at = parsed.error.issues[0];
  throw notAHub(url, `${at?.path.join('.') || 'the answer'}: ${at?.message ?? 'wrong form'}`);
}

const isIterable = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Symbol.asyncIterator in value;

function fillPath(path: string, params: Record<string, string>): string {
  return path.replace(/\{(\w+)\}/g, (_, key: string) => {
    const value = params[key];
    if (value === undefined || value === '') throw new HaiveError('USAGE', `A value for ${key} is missing`);
    return encodeURIComponent(value);
  });
}

function queryText(query: unknown): string {
  if (query === undefined) return '';
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query as Record<string, unknown>))
    if (value !== undefined) search.set(key, String(value));
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}

const IN_BETWEEN =
  'A network that asks for a login in the browser first, or a proxy, may answer in its place; else check the address with `hv config get hub_url`.';
const COMPRESSED = 'This machine asked for nothing compressed: switch that off in the proxy before the hub.';
const TOO_LARGE = 'A proxy before the hub takes no body of this size: raise its limit (client_max_body_size in nginx).';

function notAHub(url: string, why: string, cause?: unknown, hint?: string): HaiveError {
  return new HaiveError('HUB_ANSWER_INVALID', `What answers at ${url} is not a hub that this program knows: ${why}`, {
    cause,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** The error that a hub answers with; HUB_ANSWER_INVALID where it is none of a hub's. */
export function problem(url: string, status: number, bytes: Buffer): HaiveError {
  let value: { code?: unknown; detail?: unknown; hint?: unknown; details?: unknown; request_id?: unknown };
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    return notAHub(url, `HTTP ${status} without a problem document`, cause, status === 413 ? TOO_LARGE : undefined);
  }
  if (value === null || typeof value !== 'object' || typeof value.code !== 'string')
    return notAHub(url, `HTTP ${status} without a code`);
  const detail = typeof value.detail === 'string' ? value.detail : `HTTP ${status}`;
  if (!Object.hasOwn(ERRORS, value.code)) return notAHub(url, `it says ${value.code}: ${detail}`);
  return new HaiveError(value.code as ErrorCode, detail, {
    ...(typeof value.hint === 'string' && value.hint !== '' ? { hint: value.hint } : {}),
    details: {
      ...(typeof value.details === 'object' && value.details !== null ? value.details : {}),
      ...(typeof value.request_id === 'string' ? { request_id: value.request_id } : {}),
    },
  });
}

const AWAY: ReadonlySet<string> = new Set([
  'HUB_UNREACHABLE',
  'TIMEOUT',
  'SHUTTING_DOWN',
  'DATABASE_UNAVAILABLE',
  'RATE_LIMITED',
  'HUB_ANSWER_INVALID',
]);

/** True for failures that say nothing about the request itself: the hub is away, stopping or not reachable from here. */
export function hubIsAway(thrown: unknown): boolean {
  return thrown instanceof HaiveError && AWAY.has(thrown.code);
}

/** True where no whole answer came: what was asked for may have been done all the same. */
export function isCut(thrown: unknown): boolean {
  return thrown instanceof HaiveError && ['HUB_ANSWER_INVALID', 'HUB_UNREACHABLE', 'TIMEOUT'].includes(thrown.code);
}
