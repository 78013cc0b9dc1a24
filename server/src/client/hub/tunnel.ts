import { Agent, request as httpRequest } from 'node:http';
import { request as httpsRequest, Agent as TlsAgent } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import type { NamedProxy } from '../../domain/proxy.ts';

/** Milliseconds for a proxy to open the way, where the call has no limit of its own. */
const OPEN_MS = 15_000;

/** The proxy did not open the way: nothing was sent to the other side. */
export class ProxyError extends Error {
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** A proxy's address without its login. */
export function shownProxy(address: string): string {
  return URL.canParse(address) ? `${new URL(address).protocol}//${new URL(address).host}` : 'a proxy';
}

/** Where a way ends. */
interface End {
  host: string;
  port: number;
}

/**
 * Asks a proxy for a way (CONNECT), for http and https alike: what goes through stays between the two ends.
 * @param timeoutMs milliseconds for the proxy's answer
 * @throws ProxyError
 */
export function openTunnel(proxy: NamedProxy, { host, port }: End, timeoutMs = OPEN_MS): Promise<Socket> {
  const shown = shownProxy(proxy.address);
  const named = `${proxy.from} names this proxy`;
  const fault = (message: string, hint: string): ProxyError => new ProxyError(message, hint);
  if (!URL.canParse(proxy.address) || !/^https?:$/.test(new URL(proxy.address).protocol)) {
    return Promise.reject(
      fault(
        `${proxy.from} does not name an http or https proxy`,
        'Write it as http://HOST:PORT; special characters of a login as %XX.',
      ),
    );
  }
  const at = new URL(proxy.address);
  const end = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const request = at.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const asked = request({
      method: 'CONNECT',
      host: at.hostname.replace(/^\[|\]$/g, ''),
      port: at.port === '' ? (at.protocol === 'https:' ? 443 : 80) : at.port,
      path: end,
      agent: false,
      headers: {
        host: end,
        ...(at.username === '' ? {} : { 'proxy-authorization': `Basic ${loginOf(at).toString('base64')}` }),
      },
    });
    const limit = setTimeout(
      () =>
        asked.destroy(
          fault(`The proxy ${shown} did not answer within ${timeoutMs} ms`, `${named}. Is it reachable from here?`),
        ),
      timeoutMs,
    );
    asked.on('connect', ({ statusCode = 0 }, socket, head) => {
      clearTimeout(limit);
      if (statusCode >= 200 && statusCode < 300) {
        if (head.length > 0) socket.unshift(head);
        resolve(socket as Socket);
        return;
      }
      socket.destroy();
      reject(
        fault(
          `The proxy ${shown} refuses the way to ${end} (HTTP ${statusCode})`,
          `${named}. ${ADVICE[statusCode] ?? OTHER}`,
        ),
      );
    });
    asked.on('response', (answer) => {
      asked.destroy(
        fault(`The proxy ${shown} refuses the way to ${end} (HTTP ${answer.statusCode})`, `${named}. ${OTHER}`),
      );
    });
    asked.on('error', (cause: Error & { code?: string }) => {
      clearTimeout(limit);
      if (cause instanceof ProxyError) return reject(cause);
      reject(
        fault(
          `The proxy ${shown} does not answer (${cause.code ?? cause.message})`,
          `${named}. Is it running, and reachable from here?`,
        ),
      );
    });
    asked.end();
  });
}

const ADVICE: Record<number, string> = {
  407: 'It wants a login: http://USER:PASSWORD@HOST:PORT.',
  403: 'It must allow CONNECT to the host and port of the hub; NO_PROXY names hosts that are reached without it.',
  502: 'It does not reach the hub: is the hub running, and its name known there? NO_PROXY names hosts that are reached without it.',
};
ADVICE[405] = ADVICE[403] ?? '';
ADVICE[503] = ADVICE[502] ?? '';
ADVICE[504] = ADVICE[502] ?? '';
const OTHER = 'NO_PROXY names hosts that are reached without it.';

function loginOf({ username, password }: URL): Buffer {
  const plain = (text: string): string => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  };
  return Buffer.from(`${plain(username)}:${plain(password)}`);
}

interface AgentOptions {
  /** PEM text: the authorities of https. */
  ca?: string | undefined;
  keepAlive?: boolean;
  maxSockets?: number;
}

type Options = Record<string, unknown> & { host?: string; port?: number | string; timeout?: number };
type Done = (error: Error | null, socket?: Duplex) => void;

/** An agent whose connections go through a proxy. @param protocol of what is called: `http:` or `https:` */
export function proxyAgent(proxy: NamedProxy, protocol: string, { ca, ...others }: AgentOptions = {}): Agent {
  const secure = protocol === 'https:';
  const agent = secure ? new TlsAgent({ ...others, ...(ca === undefined ? {} : { ca }) }) : new Agent(others);
  const createConnection = ({ path: _, ...options }: Options, done: Done): undefined => {
    const end = { host: String(options.host), port: Number(options.port) };
    openTunnel(proxy, end, options.timeout).then(
      (socket) => done(null, secure ? connectTls({ ...options, ...end, socket }) : socket),
      (error: Error) => done(error),
    );
  };
  return Object.assign(agent, { createConnection });
}
