import type { IncomingMessage } from 'node:http';
import WebSocket from 'ws';
import { type ClientMessage, ServerMessage, WS_PATH } from '../../contract/messages.ts';
import { checkProtocol, PROTOCOL, PROTOCOL_HEADER } from '../../contract/protocol.ts';
import { HaiveError } from '../../domain/errors.ts';
import { type ProxySettings, proxyFor } from '../../domain/proxy.ts';
import { PROOF_HEADER } from '../../domain/signing/machine-proof.ts';
import { readAll } from './http-body.ts';
import { hubTimeIn, isOffTime, type Prove, problem } from './hub-client.ts';
import { ProxyError, proxyAgent } from './tunnel.ts';

export interface Socket {
  send(message: ClientMessage): void;
  /** Sends bytes as one binary message. @returns false when the connection is over */
  sendBytes(bytes: Buffer): boolean;
  close(): void;
  /** Resolves when the connection is over, with why. */
  closed: Promise<HaiveError>;
}

export interface SocketOptions {
  url: string;
  token: string;
  /** Signs the opening where the token is this machine's. */
  prove?: Prove | undefined;
  ca?: string | undefined;
  proxies?: ProxySettings | undefined;
  /** Milliseconds between signs of life; without an answer in that time the connection is given up. */
  heartbeatMs: number;
  onMessage: (message: ServerMessage) => void;
  /** A binary message: a parcel. */
  onBytes?: ((bytes: Buffer) => void) | undefined;
}

/** Milliseconds for the connection and its upgrade. */
const HANDSHAKE_MS = 15_000;
const MAX_PROBLEM = 64 * 1024;

/**
 * Opens the hub's doorbell.
 * @throws HaiveError the hub's own (TOKEN_INVALID, FORBIDDEN, PROTOCOL_MISMATCH, PROOF_INVALID …), HUB_UNREACHABLE
 */
export async function openSocket(options: SocketOptions): Promise<Socket> {
  try {
    return await open(options);
  } catch (thrown) {
    if (!(thrown instanceof HaiveError && isOffTime(thrown))) throw thrown;
    return open(options, hubTimeIn(thrown));
  }
}

/** @param at the hub's time, where this machine's clock is known to differ */
async function open(options: SocketOptions, at?: Date): Promise<Socket> {
  const proof = await options.prove?.({ method: 'GET', path: WS_PATH, token: options.token }, at);
  const { protocol } = new URL(options.url);
  const proxy = proxyFor(new URL(options.url), options.proxies);
  const ws = new WebSocket(`${options.url.replace(/^http/, 'ws')}${WS_PATH}`, {
    headers: {
      authorization: `Bearer ${options.token}`,
      [PROTOCOL_HEADER]: String(PROTOCOL),
      ...(proof === undefined ? {} : { [PROOF_HEADER]: proof }),
    },
    handshakeTimeout: HANDSHAKE_MS,
    maxPayload: 1024 * 1024,
    perMessageDeflate: false,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(proxy === undefined ? {} : { agent: proxyAgent(proxy, protocol, { ca: options.ca }) }),
  });
  let why = new HaiveError('HUB_UNREACHABLE', `The connection to ${options.url} is over`);
  let end: (error: HaiveError) => void = () => {};
  const closed = new Promise<HaiveError>((resolve) => {
    end = resolve;
  });
  const beat = heartbeat(ws, options.heartbeatMs);
  ws.on('close', () => {
    clearInterval(beat);
    end(why);
  });
  ws.on('error', (cause) => {
    if (why.code === 'HUB_UNREACHABLE')
      why = new HaiveError('HUB_UNREACHABLE', `${options.url}: ${cause.message}`, {
        cause,
        ...(cause instanceof ProxyError ? { hint: cause.hint } : {}),
      });
  });
  ws.on('message', (data, binary) => {
    if (binary) {
      options.onBytes?.(data as Buffer);
      return;
    }
    const message = parse(String(data));
    if (message === null) return;
    if (message.type === 'hello') {
      try {
        checkProtocol(String(message.protocol), 'hub');
      } catch (thrown) {
        why = thrown as HaiveError;
        ws.close(1002);
        return;
      }
    }
    options.onMessage(message);
  });
  return new Promise((resolve, reject) => {
    ws.on('unexpected-response', async (request, answer) => {
      why = await refusal(options.url, answer);
      request.destroy();
      ws.terminate();
      reject(why);
    });
    ws.once('open', () => {
      const send = (message: ClientMessage): void => {
        if (ws.readyState === WebSocket.OPEN) ws.send(JSON.stringify(message));
      };
      const sendBytes = (bytes: Buffer): boolean => {
        if (ws.readyState !== WebSocket.OPEN) return false;
        ws.send(bytes);
        return true;
      };
      resolve({ send, sendBytes, close: () => ws.close(1000), closed });
    });
    void closed.then(reject);
  });
}

/** A message of a newer hub that this program does not know is not for it. */
function parse(text: string): ServerMessage | null {
  try {
    const parsed = ServerMessage.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/** What the hub says, or what stands before it and passes no socket on. */
async function refusal(url: string, answer: IncomingMessage): Promise<HaiveError> {
  const status = answer.statusCode ?? 0;
  const other = new HaiveError('HUB_UNREACHABLE', `${url} answers ${status} to the doorbell`, {
    hint: 'A proxy before the hub seems to pass no web sockets on (Upgrade); without them the machine asks every `sync_interval` seconds.',
  });
  if (!String(answer.headers['content-type']).includes('problem+json')) return other;
  const whole = { status, headers: answer.headers, body: answer, timeoutMs: HANDSHAKE_MS };
  return readAll(whole, MAX_PROBLEM).then(
    (bytes) => problem(url, status, bytes),
    () => other,
  );
}

/** The other side may be gone without a word: no pong (or any ping of its own) in one beat ends it. */
function heartbeat(ws: WebSocket, everyMs: number): NodeJS.Timeout {
  let alive = true;
  const mark = (): void => {
    alive = true;
  };
  for (const event of ['pong', 'ping', 'message', 'open']) ws.on(event, mark);
  const timer = setInterval(() => {
    if (ws.readyState !== WebSocket.OPEN) return;
    if (!alive) return ws.terminate();
    alive = false;
    ws.ping();
  }, everyMs);
  timer.unref();
  return timer;
}
