import type { Socket } from 'node:net';
import type { RawData, WebSocket } from 'ws';
import { ClientMessage, type ServerMessage } from '../../contract/messages.ts';
import type { Principal } from '../context.ts';

/** One connected machine or watcher. */
export interface LiveSocket {
  readonly principal: Principal;
  /** The etag of the plan that a machine said it has; null for who takes no parcels. */
  etag: string | null;
  /** The seq up to which a watcher has every event; null for who does not watch. */
  watchedTo: number | null;
  send(message: ServerMessage): void;
  /** What is said until this turn is over leaves in one write. */
  gather(): void;
  /** Writes a frame built once for everybody (frameOf). */
  sendFrame(frame: Buffer): void;
  close(code: number, reason: string): void;
  /** Ends the connection without a goodbye. */
  terminate(): void;
  /** Pings; ends the socket when the ping before went unanswered. */
  heartbeat(): void;
}

/** What all sockets of a hub share: ten thousand of them each hold no more than they must. */
export interface LiveSocketParts {
  /** A peer that has more than this unread is dropped: it resumes by seq, so that nothing is lost. */
  backlogBytes: number;
  message(socket: LiveSocket, message: ReturnType<typeof ClientMessage.parse>): void;
  /** The JSON of a message that came packed (contract/parcel). @throws when it is none */
  unpack(socket: LiveSocket, bytes: Buffer): string;
  closed(socket: LiveSocket): void;
}

/** A whole unmasked text frame (RFC 6455), to be written to any number of sockets as it is. */
export function frameOf(message: ServerMessage): Buffer {
  return frame(0x81, Buffer.from(JSON.stringify(message)));
}

/** The same of bytes. */
export function binaryFrameOf(bytes: Buffer): Buffer {
  return frame(0x82, bytes);
}

function frame(kind: number, payload: Buffer): Buffer {
  if (payload.length < 126) return Buffer.concat([Buffer.from([kind, payload.length]), payload]);
  const long = payload.length > 0xffff;
  const head = Buffer.alloc(long ? 10 : 4);
  head[0] = kind;
  head[1] = long ? 127 : 126;
  if (long) head.writeBigUInt64BE(BigInt(payload.length), 2);
  else head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

const OWNER = Symbol('live socket');
type Owned = WebSocket & { [OWNER]: MachineSocket };

class MachineSocket implements LiveSocket {
  readonly principal: Principal;
  etag: string | null = null;
  watchedTo: number | null = null;
  alive = true;
  readonly parts: LiveSocketParts;
  private readonly ws: WebSocket;
  private readonly socket: Socket;

  constructor(ws: WebSocket, socket: Socket, principal: Principal, parts: LiveSocketParts) {
    this.ws = ws;
    this.socket = socket;
    this.principal = principal;
    this.parts = parts;
  }

  // Without compression ws writes at once too, so that frames of both kinds keep their order.
  send(message: ServerMessage): void {
    this.sendFrame(frameOf(message));
  }

  sendFrame(frame: Buffer): void {
    if (this.ws.readyState !== this.ws.OPEN) return;
    if (this.socket.writableLength > this.parts.backlogBytes) this.ws.terminate();
    else this.socket.write(frame);
  }

  gather(): void {
    if (this.socket.writableCorked > 0) return;
    this.socket.cork();
    process.nextTick(() => this.socket.uncork());
  }

  close(code: number, reason: string): void {
    this.ws.close(code, reason);
  }

  terminate(): void {
    this.ws.terminate();
  }

  heartbeat(): void {
    if (!this.alive) this.ws.terminate();
    else if (this.ws.readyState === this.ws.OPEN) {
      this.alive = false;
      this.sendFrame(PING);
    }
  }
}

/** A ping without a payload. */
const PING = Buffer.from([0x89, 0]);

function onPong(this: WebSocket): void {
  (this as Owned)[OWNER].alive = true;
}

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  const self = (this as Owned)[OWNER];
  self.alive = true;
  const message = parse(() => (isBinary ? self.parts.unpack(self, data as Buffer) : String(data)));
  if (message === null) {
    self.send({ type: 'error', code: 'BAD_REQUEST', message: 'The message is not one this hub knows' });
    this.close(1008, 'unknown message');
  } else self.parts.message(self, message);
}

function onError(this: WebSocket): void {
  this.terminate();
}

function onClose(this: WebSocket): void {
  const self = (this as Owned)[OWNER];
  self.parts.closed(self);
}

export function createLiveSocket(
  ws: WebSocket,
  socket: Socket,
  principal: Principal,
  parts: LiveSocketParts,
): LiveSocket {
  const self = new MachineSocket(ws, socket, principal, parts);
  (ws as Owned)[OWNER] = self;
  ws.on('pong', onPong).on('message', onMessage).on('error', onError).on('close', onClose);
  return self;
}

function parse(text: () => string): ReturnType<typeof ClientMessage.parse> | null {
  try {
    const result = ClientMessage.safeParse(JSON.parse(text()));
    return result.success ? result.data : null;
  } catch {
    return null;
  }
}
