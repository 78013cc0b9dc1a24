import type { Socket } from 'node:net';
import type { RawData, WebSocket } from 'ws';
import { ClientMessage, type ServerMessage } from '../contract/messages.ts';
import type { Principal } from './context.ts';

/** One connected machine or watcher. */
export interface LiveSocket {
  readonly principal: Principal;
  /** The seq up to which a watcher has every event; null for who does not watch. */
  watchedTo: number | null;
  send(message: ServerMessage): void;
  /** Writes a frame built once for everybody (frameOf). */
  sendFrame(frame: Buffer): void;
  close(code: number, reason: string): void;
  /** Ends the connection without a goodbye. */
  terminate(): void;
  /** Pings; ends the socket when the ping before went unanswered. */
  heartbeat(): void;
}

export interface LiveSocketEvents {
  message(message: ReturnType<typeof ClientMessage.parse>): void;
  closed(): void;
}

/** A whole unmasked text frame (RFC 6455), to be written to any number of sockets as it is. */
export function frameOf(message: ServerMessage): Buffer {
  const payload = Buffer.from(JSON.stringify(message));
  if (payload.length < 126) return Buffer.concat([Buffer.from([0x81, payload.length]), payload]);
  const long = payload.length > 0xffff;
  const head = Buffer.alloc(long ? 10 : 4);
  head[0] = 0x81;
  head[1] = long ? 127 : 126;
  if (long) head.writeBigUInt64BE(BigInt(payload.length), 2);
  else head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

/** @param backlogBytes a peer that has more than this unread is dropped: it resumes by seq, so that nothing is lost */
export function createLiveSocket(
  ws: WebSocket,
  socket: Socket,
  principal: Principal,
  backlogBytes: number,
  events: LiveSocketEvents,
): LiveSocket {
  let alive = true;
  const writeFrame = (frame: Buffer): void => {
    if (ws.readyState !== ws.OPEN) return;
    if (socket.writableLength > backlogBytes) ws.terminate();
    else socket.write(frame);
  };
  const self: LiveSocket = {
    principal,
    watchedTo: null,
    // Without compression ws writes at once too, so that frames of both kinds keep their order.
    send: (message) => writeFrame(frameOf(message)),
    sendFrame: writeFrame,
    close: (code, reason) => ws.close(code, reason),
    terminate: () => ws.terminate(),
    heartbeat() {
      if (!alive) ws.terminate();
      else if (ws.readyState === ws.OPEN) {
        alive = false;
        ws.ping();
      }
    },
  };
  ws.on('pong', () => {
    alive = true;
  });
  ws.on('message', (data, isBinary) => {
    alive = true;
    const message = isBinary ? null : parse(data);
    if (message === null) {
      self.send({ type: 'error', code: 'BAD_REQUEST', message: 'The message is not one this hub knows' });
      ws.close(1008, 'unknown message');
    } else events.message(message);
  });
  ws.on('error', () => ws.terminate());
  ws.on('close', () => events.closed());
  return self;
}

function parse(data: RawData): ReturnType<typeof ClientMessage.parse> | null {
  try {
    const result = ClientMessage.safeParse(JSON.parse(String(data)));
    return result.success ? result.data : null;
  } catch {
    return null;
  }
}
