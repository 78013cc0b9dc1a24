import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { endFrame, FRAMES_TYPE } from '../../server/src/contract/frames.ts';
import type { Tables } from '../../server/src/storage/tables/index.ts';
import { type Ask, ask, ENGINES, register, registerRequest, sourceFiles, type TestHub, testHub } from './support.ts';

const LIMITS = { jsonBodyBytes: 100_000, headersMs: 400, requestMs: 1500, bodyIdleMs: 300 };

/** Every row of every table but who was last seen when. */
async function everything(t: TestHub): Promise<string> {
  const { read } = t.hub.context.store;
  const tables: (keyof Tables)[] = [
    'plugins',
    'plugin_files',
    'blobs',
    'publications',
    'machines',
    'overrides',
    'tokens',
    'events',
    'audit',
  ];
  const rows: unknown[] = [];
  for (const table of tables) rows.push(await read.selectFrom(table).selectAll().execute());
  return JSON.stringify(rows, (key, value) => (key === 'last_seen' || key === 'last_used_at' ? null : value));
}

/** What comes back on a raw connection, until its end or for at most `ms`. */
async function raw(t: TestHub, write: (send: (text: string) => void) => Promise<void>, ms = 3000): Promise<string> {
  const socket = connect(t.hub.port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  const ended = new Promise<void>((done) => socket.on('close', () => done()));
  socket.on('error', () => {});
  await write((part) => socket.write(part));
  await Promise.race([ended, sleep(ms)]);
  socket.destroy();
  return text;
}

describe.each(ENGINES)('bad input, on %s', (engine) => {
  let t: TestHub;
  beforeAll(async () => {
    t = await testHub(engine, { limits: LIMITS, config: { maxPluginSizeMb: 1 } });
    await t.machine('there');
  });
  afterAll(() => t?.close());

  const json = (raw: string | Uint8Array, type = 'application/json'): Ask => ({
    raw,
    headers: { 'content-type': type },
  });
  const cases: [string, string, string, Ask, number, string][] = [
    ['an unknown address', 'GET', '/api/nothing', {}, 404, 'NOT_FOUND'],
    ['an unknown address with another method', 'PUT', '/x', {}, 404, 'NOT_FOUND'],
    ['a path that is not UTF-8', 'GET', '/api/machines/%ff', {}, 400, 'BAD_REQUEST'],
    ['a NUL in a path', 'GET', '/api/machines/%00', {}, 400, 'BAD_REQUEST'],
    ['a NUL in a query', 'GET', '/api/machines?group=%00', {}, 400, 'BAD_REQUEST'],
    ['a name of 400 letters', 'GET', `/api/machines/${'x'.repeat(400)}`, {}, 400, 'BAD_REQUEST'],
    ['another method', 'PUT', '/api/machines', {}, 405, 'METHOD_NOT_ALLOWED'],
    ['JSON that is none', 'POST', '/api/tokens', json('{"name":'), 400, 'BODY_INVALID'],
    ['bytes that are not UTF-8', 'POST', '/api/tokens', json(Buffer.from([0x22, 0xff, 0x22])), 400, 'BODY_INVALID'],
    ['another content type', 'POST', '/api/tokens', json('{}', 'text/plain'), 400, 'BODY_INVALID'],
    ['a form', 'POST', '/api/tokens', json('name=x', 'application/x-www-form-urlencoded'), 400, 'BODY_INVALID'],
    ['a body over the limit', 'POST', '/api/tokens', json('"'.padEnd(100_001)), 413, 'BODY_TOO_LARGE'],
    ['a missing field', 'POST', '/api/tokens', { body: { roles: ['reader'] } }, 400, 'BAD_REQUEST'],
    ['an unknown role', 'POST', '/api/tokens', { body: { name: 'x', roles: ['king'] } }, 400, 'BAD_REQUEST'],
    ['an array for an object', 'POST', '/api/tokens', { body: [] }, 400, 'BAD_REQUEST'],
    ['null for an object', 'POST', '/api/tokens', { body: null }, 400, 'BAD_REQUEST'],
    ['JSON of great depth', 'POST', '/api/tokens', json('['.repeat(45_000) + ']'.repeat(45_000)), 400, 'BAD_REQUEST'],
    [
      'JSON of great depth that an address takes as it is',
      'POST',
      '/api/plugins/register',
      json(`{"plugin_archive":${'['.repeat(20_000)}${']'.repeat(20_000)}}`),
      400,
      'BODY_INVALID',
    ],
    ['no body', 'POST', '/api/tokens', {}, 400, 'BAD_REQUEST'],
    [
      'a prototype',
      'POST',
      '/api/tokens',
      json('{"name":"x","roles":["reader"],"__proto__":{"roles":["admin"]},"expires_in_days":-1}'),
      400,
      'BAD_REQUEST',
    ],
    [
      'a machine name with a slash',
      'POST',
      '/api/machines/join',
      { body: { name: 'a/b', platform: 'x', haivemind_version: '1' } },
      400,
      'BAD_REQUEST',
    ],
    ['a NUL in a text', 'PATCH', '/api/machines/there', { body: { groups: ['a\u0000b'] } }, 400, 'BAD_REQUEST'],
    ...['/api/plugins/p/install', '/api/plugins/p/uninstall', '/api/plugins/sync'].map(
      (path): (typeof cases)[number] => [
        `no machine named for ${path}`,
        'POST',
        path,
        { body: { target_machines: [] } },
        400,
        'BAD_REQUEST',
      ],
    ),
    ...[
      ['/api/plugins/p/install', 'machine_id'],
      ['/api/plugins/p/install', 'machines'],
      ['/api/plugins/p/uninstall', 'target_machine'],
      ['/api/plugins/sync', 'target'],
      ['/api/plugins/publish', 'groups'],
    ].map(([path = '', field = '']): (typeof cases)[number] => [
      `machines or groups misnamed as ${field} for ${path}`,
      'POST',
      path,
      { body: { plugin_id: 'p', [field]: ['there'] } },
      400,
      'BAD_REQUEST',
    ]),
    ['a limit of nought', 'GET', '/api/machines?limit=0', {}, 400, 'BAD_REQUEST'],
    ['a limit that is no number', 'GET', '/api/events?limit=x', {}, 400, 'BAD_REQUEST'],
    ['a negative seq', 'GET', '/api/events?after=-1', {}, 400, 'BAD_REQUEST'],
    ['a machine that is not there', 'PATCH', '/api/machines/nobody', { body: {} }, 404, 'MACHINE_NOT_FOUND'],
    ['no content type', 'POST', '/api/plugins/register', { raw: Buffer.from('x') }, 400, 'BODY_INVALID'],
    ['frames that are none', 'POST', '/api/plugins/register', registerRequestWith('nonsense\n'), 400, 'BODY_INVALID'],
    ['frames without an end', 'POST', '/api/plugins/register', registerRequestWith(''), 400, 'BODY_INVALID'],
    ['frames of nothing', 'POST', '/api/plugins/register', registerRequestWith('null\n'), 400, 'BODY_INVALID'],
    [
      'frames without a record',
      'POST',
      '/api/plugins/register',
      registerRequestWith(endFrame().toString()),
      400,
      'BODY_INVALID',
    ],
    ['a zip that is none', 'POST', '/api/plugins/register', json('PK', 'application/zip'), 422, 'ARCHIVE_INVALID'],
    [
      'a base64 that is none',
      'POST',
      '/api/plugins/register',
      { body: { plugin_archive: '***' } },
      400,
      'BODY_INVALID',
    ],
  ];

  function registerRequestWith(text: string): Ask {
    const { headers } = registerRequest(sourceFiles({ name: 'x' }), '');
    return { raw: text, headers: { ...headers, 'content-type': FRAMES_TYPE } };
  }

  it.each(cases)('%s: %s %s', async (_name, method, path, options, status, code) => {
    const before = await everything(t);
    const answer = await ask(t.url, method, path, { token: t.admin, ...options });
    expect([answer.status, answer.code], answer.text).toEqual([status, code]);
    expect(answer.json.request_id).toBe(answer.headers.get('x-request-id'));
    expect(answer.json.hint).not.toBe('');
    if (code === 'NOT_FOUND') expect(answer.json.hint).toContain('/openapi.json');
    expect(await everything(t)).toBe(before);
  });

  it('names the field that is wrong, and says which methods an address has', async () => {
    const body = { name: 'x', roles: ['reader'], expires_in_days: 'soon' };
    const answer = await ask(t.url, 'POST', '/api/tokens', { token: t.admin, body });
    expect(answer.json.detail).toContain('expires_in_days');
    expect(answer.json.details).toMatchObject({ fields: [{ field: 'expires_in_days' }] });
    expect((await ask(t.url, 'PUT', '/api/machines/there')).headers.get('allow')).toBe('GET, HEAD, PATCH, DELETE');
  });

  it('takes null for an argument of a tool that was not given, and nowhere else', async () => {
    await register(t.url, t.admin, { name: 'nulls' });
    const asked = (path: string, body: object) => ask(t.url, 'POST', path, { token: t.admin, body });
    const offered = { plugin_id: 'nulls', target_groups: null, all: true, notify_agents: null };
    expect((await asked('/api/plugins/publish', offered)).expect(200).groups).toEqual(['*']);
    const wanted = { version: null, target_machines: null, force: null, unknown: null };
    expect((await asked('/api/plugins/nulls/install', wanted)).expect(200).machines).toEqual([
      { machine: 'there', version: '1.0.0', problem: null },
    ]);
    const found = await asked('/api/plugins/search', { search_query: 'nulls', keywords: null, machine_group: null });
    expect(found.expect(200).results).toHaveLength(1);
    expect((await asked('/api/plugins/sync', { force: null, dry_run: true })).status).toBe(200);
    expect((await asked('/api/tokens', { name: 'x', roles: ['reader'], groups: null })).code).toBe('BAD_REQUEST');
  });

  it('refuses a plugin over its size, and stores none of it', async () => {
    const before = await everything(t);
    const files = sourceFiles({ name: 'large', files: { 'data.bin': 'x'.repeat(1024 * 1024 + 1) } });
    const answer = await ask(t.url, 'POST', '/api/plugins/register', registerRequest(files, t.admin));
    expect([answer.status, answer.code]).toEqual([413, 'PLUGIN_TOO_LARGE']);
    expect(await everything(t)).toBe(before);
  });

  it('refuses other bytes under the same name and version', async () => {
    const created = (await register(t.url, t.admin, { name: 'twice' })).expect(200);
    expect(created.created).toBe(true);
    expect((await register(t.url, t.admin, { name: 'twice' })).expect(200).created).toBe(false);
    const before = await everything(t);
    const other = await register(t.url, t.admin, { name: 'twice', files: { 'README.md': 'other' } });
    expect([other.status, other.code]).toEqual([409, 'VERSION_EXISTS']);
    const after = JSON.parse(await everything(t)) as unknown[][];
    const was = JSON.parse(before) as unknown[][];
    // A blob that nobody names may stay for the sweep; nothing else may.
    after[2] = was[2] as unknown[];
    expect(after).toEqual(was);
  });

  it('does not wait for ever for a head or a body', async () => {
    const head = await raw(t, async (send) => send('GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: '));
    expect(head).toMatch(/^HTTP\/1\.1 408 /);
    expect(head).toContain('"code":"TIMEOUT"');
    const opening = `POST /api/tokens HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${t.admin}\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{`;
    expect(await raw(t, async (send) => send(opening))).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"TIMEOUT"/);
    const drip = await raw(t, async (send) => {
      send(opening);
      for (let i = 0; i < 20; i++) {
        await sleep(100);
        send(' ');
      }
    });
    expect(drip).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('answers what is not HTTP, and a head without end, in its own words', async () => {
    expect(await raw(t, async (send) => send('nonsense\r\n\r\n'))).toMatch(
      /^HTTP\/1\.1 400 [\s\S]*"code":"BAD_REQUEST"/,
    );
    const long = await raw(t, async (send) => send(`GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`));
    expect(long).toMatch(/^HTTP\/1\.1 413 [\s\S]*"code":"BODY_TOO_LARGE"/);
  });

  it('stops reading a body without a length at the limit', async () => {
    const answer = await raw(t, async (send) => {
      send(
        `POST /api/tokens HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${t.admin}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`,
      );
      for (let i = 0; i < 12; i++) send(`2710\r\n${' '.repeat(10_000)}\r\n`);
    });
    expect(answer).toMatch(/^HTTP\/1\.1 413 [\s\S]*"code":"BODY_TOO_LARGE"/);
  });

  it('has logged no defect', () => {
    expect(t.logged.filter((l) => l.level === 'error')).toEqual([]);
  });
});
