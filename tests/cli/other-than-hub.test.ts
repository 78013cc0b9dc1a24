// What stands before a hub and answers in its place: login pages of networks, reverse proxies with limits of their own.
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connectHub } from '../../server/src/client/hub/hub-client.ts';
import { openSocket } from '../../server/src/client/hub/socket.ts';
import { HaiveError } from '../../server/src/domain/errors.ts';

let answer: (response: ServerResponse) => void;
const server = createServer((request, response) => {
  request.resume();
  answer(response);
});
let url: string;
beforeAll(async () => {
  server.on('upgrade', (_, socket) => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

async function refusal(from: (response: ServerResponse) => void): Promise<HaiveError> {
  answer = from;
  const hub = connectHub({ url });
  try {
    await hub.call('whoami');
  } catch (thrown) {
    if (thrown instanceof HaiveError) return thrown;
    throw thrown;
  } finally {
    hub.close();
  }
  throw new Error('It was taken for a hub');
}

it.each([
  [200, { 'content-type': 'text/html; charset=utf-8' }, 'a web page', /asks for a login/],
  [302, { location: 'https://login.test/a?secret=1' }, 'redirects (302) to https://login.test:', /asks for a login/],
  [413, { 'content-type': 'text/html' }, 'HTTP 413', /client_max_body_size/],
  [200, { 'content-encoding': 'gzip' }, 'compressed (gzip)', /asked for nothing compressed/],
] as const)('an answer %i %j is told for what it is', async (status, headers, why, hint) => {
  const error = await refusal((response) => response.writeHead(status, headers).end('x'));
  expect(error.code).toBe('HUB_ANSWER_INVALID');
  expect(`${error.message}:`).toContain(why);
  expect(error.message).not.toContain('secret');
  expect(error.hint).toMatch(hint);
});

it('an answer that is nothing of these keeps the usual hint', async () => {
  const error = await refusal((response) => response.writeHead(200, { 'content-type': 'application/json' }).end('x'));
  expect(error.hint).toContain('hv config get hub_url');
});

it('who passes no web socket on is told as such', async () => {
  const opened = openSocket({ url, token: 't', heartbeatMs: 60_000, onMessage: () => {} });
  await expect(opened).rejects.toMatchObject({
    code: 'HUB_UNREACHABLE',
    message: expect.stringContaining('403 to the doorbell'),
    hint: expect.stringContaining('web sockets'),
  });
});
