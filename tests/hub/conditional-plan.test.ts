import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROTOCOL } from '../../server/src/contract/protocol.ts';
import type { Plan } from '../../server/src/domain/plan/index.ts';
import { ask, ENGINES, publish, type TestHub, testHub } from './support.ts';

/** One exchange as it stands on the wire. */
function exchange(port: number, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(request));
    socket.once('data', (chunk) => {
      resolve(chunk.toString());
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

const payload = (json: Record<string, unknown>): Plan =>
  JSON.parse(Buffer.from(String(json.payload), 'base64').toString());

describe.each(ENGINES)('the conditional plan, on %s', (engine) => {
  let t: TestHub;
  let machine: { id: string; name: string; token: string };
  const plan = (headers: Record<string, string> = {}, token = machine.token, ref = 'me') =>
    ask(t.url, 'GET', `/api/machines/${ref}/plan`, { token, headers });
  beforeAll(async () => {
    t = await testHub(engine);
    machine = await t.machine('polls', { groups: ['g'] });
  });
  afterAll(() => t?.close());

  it('costs at most 400 bytes of HTTP when nothing changed', async () => {
    const etag = (await plan()).headers.get('etag') ?? '';
    const host = `127.0.0.1:${t.hub.port}`;
    const request = `GET /api/machines/me/plan HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${machine.token}\r\nif-none-match: ${etag}\r\nhaivemind-protocol: ${PROTOCOL}\r\n\r\n`;
    const answer = await exchange(t.hub.port, request);
    expect(answer).toMatch(/^HTTP\/1\.1 304 /);
    expect(request.length + answer.length).toBeLessThanOrEqual(400);
  });

  it('is answered alike before and behind Fastify', async () => {
    const etag = (await plan()).headers.get('etag') ?? '';
    const ask304 = (path: string) =>
      exchange(
        t.hub.port,
        `GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${machine.token}\r\nif-none-match: ${etag}\r\n\r\n`,
      );
    // A query makes the short way give up; the address is the same.
    const [short, long] = [await ask304('/api/machines/me/plan'), await ask304('/api/machines/me/plan?x=1')];
    const lines = (text: string) =>
      text
        .split('\r\n')
        // The short way leaves out a hint about idle connections: it is a tenth of the answer.
        .filter((l) => !/^keep-alive:/i.test(l))
        .map((l) => l.replace(/^date: .*/i, 'date').toLowerCase())
        .sort();
    expect(short).toMatch(/^HTTP\/1\.1 304 /);
    expect(lines(short)).toEqual(lines(long));
  });

  it('brings a publication, a change of groups and an override at once', async () => {
    let etag = (await plan()).headers.get('etag') ?? '';
    const changed = async (): Promise<string[]> => {
      const answer = await plan({ 'if-none-match': etag });
      const body = answer.expect(200);
      etag = answer.headers.get('etag') ?? '';
      expect((await plan({ 'if-none-match': etag })).status).toBe(304);
      return payload(body).plugins.map((p) => `${p.name}@${p.version}`);
    };
    await publish(t.url, t.admin, { name: 'one' }, ['g']);
    expect(await changed()).toEqual(['one@1.0.0']);
    await publish(t.url, t.admin, { name: 'one', version: '1.1.0' }, ['g']);
    expect(await changed()).toEqual(['one@1.1.0']);
    await publish(t.url, t.admin, { name: 'elsewhere' }, ['h']);
    expect((await plan({ 'if-none-match': etag })).status).toBe(304);
    (await ask(t.url, 'PATCH', '/api/machines/polls', { token: t.admin, body: { groups: ['g', 'h'] } })).expect(200);
    expect(await changed()).toEqual(['elsewhere@1.0.0', 'one@1.1.0']);
    const body = { kind: 'exclude' };
    (await ask(t.url, 'PUT', '/api/machines/me/overrides/one', { token: machine.token, body })).expect(200);
    expect(await changed()).toEqual(['elsewhere@1.0.0']);
  });

  it('takes account of what the machine reports: what is installed stays when it is yanked', async () => {
    const m = await t.machine('reports', { groups: ['y'] });
    const registered = await publish(t.url, t.admin, { name: 'stays' }, ['y']);
    const names = async () => payload((await plan({}, m.token)).expect(200)).plugins.map((p) => p.name);
    expect(await names()).toEqual(['stays']);
    (
      await ask(t.url, 'POST', `/api/plugins/${registered.id}/status`, { token: t.admin, body: { status: 'yanked' } })
    ).expect(200);
    const yanked = await plan({}, m.token);
    const plugins = [{ name: 'stays', version: '1.0.0', digest: registered.digest, state: 'verified' }];
    const body = { counter: 1, haivemind_version: '1.0.0', plugins, holds: [] };
    (await ask(t.url, 'POST', '/api/machines/me/status', { token: m.token, body })).expect(200);
    const after = await plan({ 'if-none-match': yanked.headers.get('etag') ?? '' }, m.token);
    expect(payload(after.expect(200)).plugins.map((p) => [p.name, p.status])).toEqual([['stays', 'yanked']]);
  });

  it('ends with the token, however often it was remembered', async () => {
    const m = await t.machine('ends');
    const etag = (await plan({}, m.token)).headers.get('etag') ?? '';
    expect((await plan({ 'if-none-match': etag }, m.token)).status).toBe(304);
    (await ask(t.url, 'DELETE', '/api/machines/ends', { token: t.admin })).expect(200);
    expect((await plan({ 'if-none-match': etag }, m.token)).code).toBe('TOKEN_INVALID');
  });

  it('is as true at another hub process on the same database', async () => {
    const other = await t.another();
    const m = await t.machine('roams', { groups: ['r'] });
    const at = (url: string, headers = {}) => ask(url, 'GET', '/api/machines/me/plan', { token: m.token, headers });
    const etag = (await at(other.url)).headers.get('etag') ?? '';
    expect((await at(t.url)).headers.get('etag')).toBe(etag);
    expect((await at(other.url, { 'if-none-match': etag })).status).toBe(304);
    await publish(t.url, t.admin, { name: 'roaming' }, ['r']);
    expect((await at(other.url, { 'if-none-match': etag })).status).toBe(200);
    (await ask(t.url, 'DELETE', '/api/machines/roams', { token: t.admin })).expect(200);
    expect((await at(other.url, { 'if-none-match': etag })).code).toBe('TOKEN_INVALID');
  });
});
