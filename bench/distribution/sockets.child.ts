// Many WebSocket clients in one process, as thin as they can be: plain TCP, frames told apart by their first bytes. Told what to do by
// its parent: `connect` opens one connection for each token, `expect` says when each has heard one more doorbell, `renew` lets every
// connection that ends come back as the machine's client does.
import { connect as dial, type Socket } from 'node:net';
import { reconnectDelay } from '../../server/src/client/live/reconnect-delay.ts';

interface Order {
  do: 'connect' | 'expect' | 'renew';
  port?: number;
  tokens?: string[];
}

const AT_ONCE = 200;
/** Spread over loopback addresses, so that no one of them runs out of ports. */
const ADDRESSES = ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5'];
const PONG = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);

let port = 0;
let renewing = false;
let open = 0;
let heard = 0;
let first = 0;
let total = 0;
const failures: string[] = [];

const now = (): number => performance.timeOrigin + performance.now();
const say = (message: Record<string, unknown>): void => void process.send?.({ ...message, at: now() });

/** A text frame from a client; a mask of zeros leaves the bytes as they are. */
function frame(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([0x81, 0x80 | bytes.length, 0, 0, 0, 0]), bytes]);
}

const RESUME = frame('{"type":"resume","seq":1000000000}');

/** Resolves when the connection is up. @throws Error when it is refused */
function client(token: string, number: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket: Socket = dial({ port, host: '127.0.0.1', localAddress: ADDRESSES[number % ADDRESSES.length] });
    let up = false;
    let rest: Buffer | undefined;
    socket.once('connect', () =>
      socket.write(
        `GET /ws/plugins HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
          `Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nauthorization: Bearer ${token}\r\n\r\n`,
      ),
    );
    socket.on('data', (chunk) => {
      let bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
      rest = undefined;
      if (!up) {
        const end = bytes.indexOf('\r\n\r\n');
        if (end === -1) {
          rest = bytes;
          return;
        }
        if (bytes.toString('latin1', 9, 12) !== '101') {
          socket.destroy();
          reject(new Error(bytes.toString('latin1', 0, end).split('\r\n')[0]));
          return;
        }
        up = true;
        open++;
        socket.write(RESUME);
        resolve();
        bytes = bytes.subarray(end + 4);
      }
      rest = frames(socket, bytes);
    });
    socket.on('error', reject);
    socket.on('close', () => {
      if (!up) return reject(new Error('closed before it was up'));
      open--;
      if (renewing) void comeBack(token, number);
    });
  });
}

/** Takes whole frames; answers what is left of the bytes. */
function frames(socket: Socket, bytes: Buffer): Buffer | undefined {
  let at = 0;
  while (bytes.length - at >= 2) {
    const short = (bytes[at + 1] ?? 0) & 0x7f;
    const head = short < 126 ? 2 : 4;
    if (bytes.length - at < head) break;
    const size = short < 126 ? short : bytes.readUInt16BE(at + 2);
    if (bytes.length - at < head + size) break;
    const opcode = (bytes[at] ?? 0) & 0x0f;
    if (opcode === 9) socket.write(PONG);
    else if (opcode === 8) socket.end();
    // {"type":"doorbell"…
    else if (opcode === 1 && bytes[at + head + 9] === 0x64) {
      heard++;
      if (heard === 1) first = performance.now();
      if (heard === total) say({ all: 'heard', ms: performance.now() - first });
    }
    at += head + size;
  }
  return at === bytes.length ? undefined : Buffer.from(bytes.subarray(at));
}

async function comeBack(token: string, number: number): Promise<void> {
  for (let tries = 1; ; tries++) {
    await new Promise((resolve) => setTimeout(resolve, reconnectDelay(tries, total * 2, Math.random())));
    const began = Math.round(now());
    try {
      await client(token, number);
      if (open === total) say({ all: 'back', failures: failures.splice(0) });
      return;
    } catch (thrown) {
      failures.push(`${began} ${(thrown as Error).message}`);
    }
  }
}

process.on('message', async (order: Order) => {
  if (order.do === 'expect') heard = 0;
  if (order.do === 'renew') renewing = true;
  if (order.do === 'connect') {
    port = order.port ?? 0;
    const tokens = order.tokens ?? [];
    total = tokens.length;
    let next = 0;
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        while (next < tokens.length) await client(tokens[next] ?? '', next++).catch((e) => failures.push(String(e)));
      }),
    );
  }
  say({ done: order.do, open, failures: order.do === 'connect' ? failures.splice(0) : [] });
});
process.on('disconnect', () => process.exit(0));
