import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';

/** Who is at the other end: behind a proxy, the last address that it wrote down. */
export function clientAddress(request: IncomingMessage, behindProxy: boolean): string {
  const direct = request.socket.remoteAddress ?? 'unknown';
  if (!behindProxy) return direct;
  const given = request.headers['x-forwarded-for'];
  const list = Array.isArray(given) ? given.join(',') : (given ?? '');
  return list.split(',').at(-1)?.trim() || direct;
}

/** Who counts as one caller: an address, or the 64 bits of IPv6 within which one subscriber chooses freely. */
export function callerKey(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').split('%', 1)[0] ?? '';
  if (!isIPv6(plain)) return plain;
  const [head = '', tail] = plain.split('::', 2);
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0');
  const parts = [...front, ...zeros, ...back].slice(0, 4);
  return `${parts.map((part) => Number.parseInt(part, 16).toString(16)).join(':')}::/64`;
}
