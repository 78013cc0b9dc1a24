import WebSocket from 'ws';
import { type ClientMessage, ServerMessage, WS_PATH } from '../../contract/messages.ts';
import { checkProtocol, PROTOCOL, PROTOCOL_HEADER } from '../../contract/protocol.ts';
import { HaiveError } from '../../domain/errors.ts';
import { PROOF_HEADER } from '../../domain/signing/machine-proof.ts';
import type { Prove } from './hub-client.ts';

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
  /** Milliseconds between signs of life; without an answer in that time the connection is given up. */
  heartbeatMs: number;
  onMessage: (message: ServerMessage) => void;
  /** A binary message: a parcel. */
  onBytes?: ((bytes: Buffer) => void) | undefined;
}

/**
 * Opens the hub's doorbell.
 * @throws HaiveError TOKEN_INVALID, FORBIDDEN, PROTOCOL_MISMATCH, HUB_UNREACHABLE
 */
export async function openSocket(options: SocketOptions): Promise<Socket> {
  const proof = await options.prove?.({ method: 'GET', path: WS_PATH, token: options.token });
  const ws = new WebSocket(`${options.url.replace(/^http/, 'ws')}${WS_PATH}`, {
    headers: {
      authorization: `Bearer ${options.token}`,
      [PROTOCOL_HEADER]: String(PROTOCOL),
      ...(proof === undefined ? {} : { [PROOF_HEADER]: proof }),
    },
    handshakeTimeout: 15_000,
    maxPayload: 1024 * 1024,
    perMessageDeflate: false,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
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
      why = new HaiveError('HUB_UNREACHABLE', `${options.url}: ${cause.message}`, { cause });
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
    ws.on('unexpected-response', (request, answer) => {
      why = refusal(options.url, answer.statusCode ?? 0);
      request.destroy();
      answer.resume();
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

function refusal(url: string, status: number): HaiveError {
  if (status === 401) return new HaiveError('TOKEN_INVALID', `${url} does not know this machine's token`);
  if (status === 403) return new HaiveError('FORBIDDEN', `${url} does not let this machine listen`);
  if (status === 426) return new HaiveError('PROTOCOL_MISMATCH', `${url} speaks another protocol`);
  return new HaiveError('HUB_UNREACHABLE', `${url} answers ${status} to the doorbell`);
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
