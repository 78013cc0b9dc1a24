import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectHub, hubUrl } from '../../server/src/client/hub/hub-client.ts';
import { json, problem, type ScriptedHub, scriptedHub } from './scripted-hub.ts';

const code = (expected: string) => expect.objectContaining({ code: expected });

describe('connectHub', () => {
  let hub: ScriptedHub;
  beforeEach(async () => {
    hub = await scriptedHub();
  });
  afterEach(() => hub.close());

  const client = (timeoutMs?: number) => connectHub({ url: hub.url, token: 'hvt_secret', timeoutMs });

  it('sends token, protocol and JSON, and fills path and query', async () => {
    hub.answers['*'] = (_, response) => json(response, { plugins: [], next: null });
    await client().call('list', { query: { limit: 5, search_query: 'a&b' } });
    const headers = hub.bodies[0]?.headers ?? {};
    expect(headers.authorization).toBe('Bearer hvt_secret');
    expect(headers['haivemind-protocol']).toBe('1');
    hub.answers['*'] = (request, response) => json(response, { url: request.url, name: 'x', machines: [], seq: 1 });
    await client().call('uninstall', { params: { id: 'a/../b' }, body: {} });
    expect(hub.seen[1]).toBe('POST /api/plugins/a%2F..%2Fb/uninstall');
    await expect(client().call('info', { params: {} })).rejects.toEqual(code('USAGE'));
  });

  it("keeps the hub's code, message, hint and request id", async () => {
    hub.answers['*'] = (_, response) => problem(response, 409, 'VERSION_EXISTS', 'x@1', { request_id: 'r1' });
    await expect(client().call('groups')).rejects.toMatchObject({
      code: 'VERSION_EXISTS',
      message: 'x@1',
      hint: 'hint of VERSION_EXISTS',
      details: { request_id: 'r1' },
    });
  });

  it.each([
    ['a code this program does not know', 409, 'application/problem+json', '{"code":"NEW_CODE","detail":"d"}'],
    ...['__proto__', 'constructor', 'toString', 'hasOwnProperty'].map((word): [string, number, string, string] => [
      `the code ${word}`,
      404,
      'application/problem+json',
      JSON.stringify({ code: word, detail: 'd' }),
    ]),
    ['an error page', 502, 'text/html', '<html>Bad gateway</html>'],
    ['an error without a code', 404, 'application/json', '{}'],
    ['a page instead of an answer', 200, 'text/html', '<html>'],
    ['JSON of another form', 200, 'application/json', '{"hello":"world"}'],
    ['a redirect', 302, 'text/plain', ''],
    ['304 that was not asked for', 304, 'text/plain', ''],
  ])('takes %s for no hub', async (_, status, type, body) => {
    hub.answers['*'] = (__, response) => response.writeHead(status, { 'content-type': type }).end(body || undefined);
    await expect(client().call('groups')).rejects.toEqual(code('HUB_ANSWER_INVALID'));
  });

  it('parts with a hub of another protocol', async () => {
    const headers = { 'haivemind-protocol': '2' };
    hub.answers['*'] = (_, response) => json(response, { groups: [] }, 200, headers);
    await expect(client().call('groups')).rejects.toEqual(code('PROTOCOL_MISMATCH'));
  });

  it('knows an unchanged answer by its etag', async () => {
    hub.answers['*'] = (request, response) =>
      request.headers['if-none-match'] === '"e1"'
        ? response.writeHead(304).end()
        : json(response, { groups: [] }, 200, { etag: '"e1"' });
    const first = await client().callIfChanged('groups', undefined);
    expect(first).toEqual({ value: { groups: [] }, etag: '"e1"' });
    expect(await client().callIfChanged('groups', '"e1"')).toBeNull();
  });

  it('gives up on a hub that is silent, breaks off, or is not there', async () => {
    hub.answers['*'] = () => undefined;
    await expect(client(200).call('groups')).rejects.toEqual(code('TIMEOUT'));
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 50);
    await expect(client().call('groups', { signal: stop.signal })).rejects.toEqual(code('TIMEOUT'));
    await expect(client().call('groups', { signal: AbortSignal.abort() })).rejects.toEqual(code('TIMEOUT'));
    hub.answers['*'] = (_, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"groups"');
      setTimeout(() => response.destroy(), 20);
    };
    await expect(client().call('groups')).rejects.toEqual(code('HUB_UNREACHABLE'));
    hub.answers['*'] = (_, response) => response.destroy();
    await expect(client().call('groups')).rejects.toEqual(code('HUB_UNREACHABLE'));
    await hub.close();
    await expect(client().call('groups')).rejects.toEqual(code('HUB_UNREACHABLE'));
    await expect(connectHub({ url: 'http://no-such-host.invalid' }).call('groups')).rejects.toEqual(
      code('HUB_UNREACHABLE'),
    );
  });

  it('survives a kept connection that the hub closed', async () => {
    const kept = client();
    hub.answers['*'] = (request, response) => {
      json(response, { groups: [] });
      const { socket } = request;
      response.on('finish', () => setTimeout(() => socket.resetAndDestroy(), 5));
    };
    for (let i = 0; i < 5; i++) {
      expect(await kept.call('groups')).toEqual({ groups: [] });
      await new Promise((resolve) => setTimeout(resolve, i * 4));
    }
    kept.close();
  });

  it('reads addresses in one form', () => {
    expect(hubUrl('http://H:7420/')).toBe('http://h:7420');
    expect(hubUrl('https://h/base/?x=1#y')).toBe('https://h/base');
    for (const wrong of ['h:7420', 'ftp://h', 'nonsense', 'http://u:p@h', '']) {
      expect(() => hubUrl(wrong)).toThrow(code('CONFIG_INVALID'));
    }
  });
});
