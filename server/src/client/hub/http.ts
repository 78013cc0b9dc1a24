import { Agent, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { request as httpsRequest, Agent as TlsAgent } from 'node:https';
import type { Readable } from 'node:stream';
import { HaiveError } from '../../domain/errors.ts';
import { type ProxySettings, proxyFor } from '../../domain/proxy.ts';
import { PERIODS, tooSlow } from './http-body.ts';
import { ProxyError, proxyAgent } from './tunnel.ts';

/** Bare node:http: the machine's bundles stay small, and a 304 reaches the caller as a 304. */
export interface HttpRequest {
  method: string;
  url: URL;
  headers: Record<string, string>;
  /** Bytes, or a stream of them (sent chunked). */
  body?: Buffer | AsyncIterable<Uint8Array>;
  /** Milliseconds without a sign of life before giving up. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Readable;
  /** The request's own; absent where the body is here already. */
  timeoutMs?: number;
}

export interface HttpSender {
  /** @throws HaiveError HUB_UNREACHABLE, TIMEOUT */
  send(request: HttpRequest): Promise<HttpAnswer>;
  close(): void;
}

/** A sender that keeps connections alive; `ca` is PEM text added for https. */
export function createSender(ca?: string, proxies?: ProxySettings): HttpSender {
  const agents = new Map<string, Agent>();
  const agentFor = (url: URL): Agent => {
    const proxy = proxyFor(url, proxies);
    const key = `${url.protocol} ${proxy?.address ?? ''}`;
    const known = agents.get(key);
    if (known !== undefined) return known;
    const kept = { keepAlive: true, maxSockets: 8 };
    const secure = { ...kept, ...(ca === undefined ? {} : { ca }) };
    const direct = () => (url.protocol === 'https:' ? new TlsAgent(secure) : new Agent(kept));
    const agent = proxy === undefined ? direct() : proxyAgent(proxy, url.protocol, secure);
    agents.set(key, agent);
    return agent;
  };
  return {
    send: async (request) => {
      try {
        return await sendOnce(request, agentFor(request.url));
      } catch (thrown) {
        // A kept connection that the hub closed a moment ago says nothing about the hub.
        if (thrown instanceof StaleSocket) return await sendOnce(request, agentFor(request.url), true);
        throw thrown;
      }
    },
    close: () => {
      for (const agent of agents.values()) agent.destroy();
    },
  };
}

class StaleSocket extends Error {}

function sendOnce(request: HttpRequest, agent: Agent, last = false): Promise<HttpAnswer> {
  const { url, body } = request;
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    let answer: IncomingMessage | undefined;
    // Once the answer has begun, whoever reads it is to hear why it ends.
    const giveUp = (error: HaiveError): void => {
      // A request that waits for its connection would tell of its end only then.
      if (answer === undefined) reject(error);
      (answer ?? req).destroy(error);
    };
    const headers = { ...request.headers, ...(Buffer.isBuffer(body) ? { 'content-length': String(body.length) } : {}) };
    const req = send(url, { method: request.method, headers, agent, timeout: request.timeoutMs });
    req.setTimeout(request.timeoutMs, () => {
      const what = answer === undefined ? 'did not answer within' : 'sent nothing more for';
      giveUp(new HaiveError('TIMEOUT', `${url.origin} ${what} ${request.timeoutMs} ms`));
    });
    const onAbort = (): void => {
      giveUp(new HaiveError('TIMEOUT', `The call to ${url.origin} was given up`));
    };
    request.signal?.addEventListener('abort', onAbort, { once: true });
    if (request.signal?.aborted === true) onAbort();
    // A head that drips is a sign of life too.
    let headDue: NodeJS.Timeout | undefined;
    req.on('finish', () => {
      const ms = PERIODS * request.timeoutMs;
      if (answer === undefined && !req.destroyed) headDue = setTimeout(() => giveUp(tooSlow(url.origin, ms)), ms);
    });
    req.on('response', (begun) => {
      clearTimeout(headDue);
      answer = begun;
      resolve({ status: begun.statusCode ?? 0, headers: begun.headers, body: begun, timeoutMs: request.timeoutMs });
    });
    req.on('close', () => clearTimeout(headDue));
    req.on('close', () => request.signal?.removeEventListener('abort', onAbort));
    req.on('error', (cause: Error & { code?: string }) => {
      if (answer !== undefined) return;
      if (cause instanceof HaiveError) return reject(cause);
      const replayable = body === undefined || Buffer.isBuffer(body);
      if (!last && req.reusedSocket && replayable && cause.code === 'ECONNRESET') return reject(new StaleSocket());
      reject(unreachable(url, cause));
    });
    if (body === undefined || Buffer.isBuffer(body)) req.end(body);
    else pump(body, req).catch((cause: Error) => req.destroy(cause));
  });
}

async function pump(source: AsyncIterable<Uint8Array>, req: ReturnType<typeof httpRequest>): Promise<void> {
  for await (const chunk of source) {
    if (req.destroyed) return;
    if (!req.write(chunk)) {
      await new Promise<void>((resolve) => {
        req.once('drain', resolve);
        req.once('close', resolve);
      });
    }
  }
  req.end();
}

function unreachable(url: URL, cause: Error & { code?: string }): HaiveError {
  if (cause instanceof ProxyError) return new HaiveError('HUB_UNREACHABLE', cause.message, { cause, hint: cause.hint });
  const why = cause.code ?? cause.message;
  const tls = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS|EPROTO|ERR_SSL/.test(why);
  return new HaiveError('HUB_UNREACHABLE', `${url.origin} does not answer (${why})`, {
    cause,
    ...(tls
      ? { hint: 'Is it https with a certificate this machine trusts? HAIVEMIND_CA_FILE names an own authority.' }
      : {}),
  });
}
