import type { IncomingMessage } from 'node:http';

/** Who is at the other end: behind a proxy, the last address that it wrote down. */
export function clientAddress(request: IncomingMessage, behindProxy: boolean): string {
  const direct = request.socket.remoteAddress ?? 'unknown';
  if (!behindProxy) return direct;
  const given = request.headers['x-forwarded-for'];
  const list = Array.isArray(given) ? given.join(',') : (given ?? '');
  return list.split(',').at(-1)?.trim() || direct;
}
