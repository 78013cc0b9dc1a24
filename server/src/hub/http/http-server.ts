import {
  createServer as createHttp,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { HaiveError } from '../../domain/errors.ts';
import type { HubConfig } from '../config.ts';
import { createSecureServer } from './certificate.ts';
import { PROBLEM_TYPE, problemOf } from './problem.ts';

/** Connections that may wait to be taken: a whole fleet comes back at once when its hub does. */
const BACKLOG = 4096;

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * The node server with its limits: slow heads and bodies, connections, header size.
 * @throws HaiveError CONFIG_INVALID when the certificate cannot be used
 */
export function createNodeServer(config: HubConfig, handler: Handler): Server {
  const { headersMs, requestMs, connections } = config.limits;
  const options = {
    headersTimeout: Math.min(headersMs, requestMs),
    requestTimeout: requestMs,
    connectionsCheckingInterval: Math.max(50, Math.min(5000, headersMs / 2)),
    keepAliveTimeout: 72_000,
    maxHeaderSize: 16 * 1024,
  };
  const server =
    config.tls === undefined ? createHttp(options, handler) : createSecureServer(options, config.tls, handler);
  server.maxConnections = connections;
  return server;
}

/** Answers what node's parser gave up on, before there was a request. */
export function answerClientError(thrown: Error & { code?: string }, socket: Duplex): void {
  if (thrown.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const error =
    thrown.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? new HaiveError('TIMEOUT', 'The request did not come in time')
      : thrown.code === 'HPE_HEADER_OVERFLOW'
        ? new HaiveError('BODY_TOO_LARGE', 'The head of the request is too long')
        : new HaiveError('BAD_REQUEST', 'This is not HTTP');
  refuse(socket, error, '');
}

/** A problem written by hand to a connection that has no response object, then its end. */
export function refuse(socket: Duplex, error: HaiveError, requestId: string): void {
  const body = JSON.stringify(problemOf(error, requestId));
  const wait = error.details?.retry_after_s;
  const head = [
    `HTTP/1.1 ${error.http} ${STATUS_CODES[error.http] ?? 'Error'}`,
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    ...(error.http === 401 ? ['www-authenticate: Bearer'] : []),
    ...(typeof wait === 'number' ? [`retry-after: ${wait}`] : []),
    'connection: close',
  ];
  socket.on('error', () => socket.destroy());
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/**
 * Listens.
 * @returns the port
 * @throws HaiveError PORT_IN_USE, CONFIG_INVALID
 */
export async function listen(server: Server, host: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'EADDRINUSE') reject(new HaiveError('PORT_IN_USE', `Port ${port} is in use`, { cause }));
      else reject(new HaiveError('CONFIG_INVALID', `The hub cannot listen on ${host}:${port}`, { cause }));
    });
    server.listen(port, host, BACKLOG, resolve);
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

/** Takes no new connection, lets requests in flight finish for at most `ms`, then ends what is left. */
export async function drain(server: Server, ms: number): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  let done = false;
  void closed.then(() => {
    done = true;
  });
  for (let waited = 0; !done && waited < ms; waited += 25) {
    server.closeIdleConnections();
    await Promise.race([closed, sleep(25)]);
  }
  server.closeAllConnections();
  await Promise.race([closed, sleep(1000)]);
}
