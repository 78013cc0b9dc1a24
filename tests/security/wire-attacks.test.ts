// Attacks over the wire: where a hub may be sent to fetch from, what requests may cost, and what texts may do to logs, terminals
// and browsers. Each is refused with its code, and nothing changed.
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { HaiveError } from '../../server/src/domain/errors.ts';
import { lookOf } from '../../server/src/domain/names.ts';
import { createLog } from '../../server/src/hub/log.ts';
import { clean, errorOutput, harmless } from '../../server/src/interfaces/cli/output.ts';
import { ask, publish, register, type TestHub, testHub } from '../hub/support.ts';
import { zipRequest } from './attack-rows.ts';

/** What the name `rebind.test` resolves to, one answer after the other. */
const answers: { address: string; family: number }[][] = [];
let lookups = 0;
vi.mock('node:dns', async (original) => {
  const real = await original<typeof import('node:dns')>();
  const lookup = ((name: string, options: object, done: (error: null, addresses: unknown) => void) => {
    if (name !== 'rebind.test') return real.lookup(name, options as never, done as never);
    lookups++;
    done(null, answers.shift() ?? [{ address: '127.0.0.1', family: 4 }]);
  }) as typeof real.lookup;
  return { ...real, lookup, default: { ...real, lookup } };
});

let t: TestHub;
let inside: Server;
let door: Server;
let redirectTo = '';
let knocks = 0;
const hits: string[] = [];
const token: Record<string, string> = {};

const listen = async (handler: Parameters<typeof createServer>[1]): Promise<Server> => {
  const server = createServer(handler);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return server;
};
const portOf = (server: Server): number => (server.address() as AddressInfo).port;

beforeAll(async () => {
  inside = await listen((request, response) => {
    hits.push(request.url ?? '');
    response.end('secret');
  });
  door = await listen((_, response) => {
    knocks++;
    response.writeHead(302, { location: redirectTo }).end();
  });
  t = await testHub('sqlite', {
    config: { allowedSourceHosts: [`127.0.0.1:${portOf(door)}`] },
    limits: { headersMs: 300, bodyIdleMs: 300, requestMs: 2000 },
  });
  token.publisher = await t.token(['publisher']);
  token.reader = await t.token(['reader']);
  await publish(t.url, token.publisher, { name: 'elastic-search' });
});
afterAll(async () => {
  await t?.close();
  inside.close();
  door.close();
});

async function state(): Promise<string> {
  const { read } = t.hub.context.store;
  const tables = ['plugins', 'plugin_files', 'publications', 'events', 'audit', 'tokens', 'machines'] as const;
  const rows = await Promise.all(tables.map((table) => read.selectFrom(table).selectAll().execute()));
  return JSON.stringify(rows, (key, value) => (key === 'last_used_at' || key === 'last_seen' ? undefined : value));
}
const fetchFrom = (url: string) =>
  ask(t.url, 'POST', '/api/plugins/register', { token: token.publisher, body: { plugin_url: url } });

describe('where the hub fetches from', () => {
  const through = () => `http://127.0.0.1:${portOf(door)}/x.zip`;
  it.each([
    ['the hub’s own host', () => `http://127.0.0.1:${portOf(inside)}/`, 'FORBIDDEN'],
    ['the hub’s own host by name', () => `http://localhost:${portOf(inside)}/`, 'FORBIDDEN'],
    ['a cloud’s metadata', () => 'http://169.254.169.254/latest/meta-data', 'FORBIDDEN'],
    ['a private network', () => 'http://10.0.0.1/', 'FORBIDDEN'],
    ['IPv6 loopback', () => `http://[::1]:${portOf(inside)}/`, 'FORBIDDEN'],
    ['a file', () => 'file:///etc/passwd', 'BAD_REQUEST'],
    ['another protocol', () => 'gopher://127.0.0.1/', 'BAD_REQUEST'],
    ['an address with a login', () => 'http://u:p@example.org/', 'BAD_REQUEST'],
    ['itself, for ever', () => `http://127.0.0.1:${portOf(door)}/x.zip`, 'BAD_REQUEST'],
  ])('a redirect to %s is refused, and nobody there hears of it', async (_what, to, code) => {
    const before = await state();
    hits.length = 0;
    redirectTo = to();
    knocks = 0;
    expect((await fetchFrom(through())).code).toBe(code);
    expect(knocks).toBeLessThan(10);
    expect(hits).toEqual([]);
    expect(await state()).toBe(before);
  });

  it('a name that is public when looked up and private when connected to → the private one is never asked', async () => {
    const before = await state();
    hits.length = 0;
    lookups = 0;
    // No route leads to the first; a second look would find this host.
    answers.push([{ address: '2620:fe::fe', family: 6 }]);
    expect((await fetchFrom(`http://rebind.test:${portOf(inside)}/x.zip`)).code).toMatch(/NOT_FOUND|TIMEOUT/);
    expect([lookups, hits]).toEqual([1, []]);
    expect(await state()).toBe(before);
  });

  it('a name with a public and a private address → only the public one is tried', async () => {
    hits.length = 0;
    answers.push([
      { address: '127.0.0.1', family: 4 },
      { address: '2620:fe::fe', family: 6 },
    ]);
    expect((await fetchFrom(`http://rebind.test:${portOf(inside)}/x.zip`)).code).toMatch(/NOT_FOUND|TIMEOUT/);
    expect(hits).toEqual([]);
  });

  it('a name that is private alone → FORBIDDEN', async () => {
    hits.length = 0;
    answers.push([{ address: '127.0.0.1', family: 4 }]);
    expect((await fetchFrom(`http://rebind.test:${portOf(inside)}/x.zip`)).code).toBe('FORBIDDEN');
    expect(hits).toEqual([]);
  });

  it.each([
    ['git+http://127.0.0.1:1/x', 'FORBIDDEN'],
    ['https://169.254.169.254/x.git', 'FORBIDDEN'],
    ['https://example.org/x.git#--upload-pack=evil', 'BAD_REQUEST'],
    ['https://example.org/x.git#a..b', 'BAD_REQUEST'],
    ['https://example.org/x.git#main:../..', 'PATH_UNSAFE'],
    ['https://u:p@example.org/x.git', 'BAD_REQUEST'],
  ])('a repository at %s → %s', async (url, code) => {
    const before = await state();
    expect((await fetchFrom(url)).code).toBe(code);
    expect(await state()).toBe(before);
  });
});

/** Bytes written as they are; what comes back until the hub closes. */
function raw(text: string, keepSending?: string): Promise<string> {
  return new Promise((done) => {
    const socket = connect(portOf2(), '127.0.0.1');
    let heard = '';
    const drip = keepSending === undefined ? undefined : setInterval(() => socket.write(keepSending), 100);
    socket.on('data', (chunk) => {
      heard += chunk;
    });
    const end = () => {
      clearInterval(drip);
      socket.destroy();
      done(heard);
    };
    socket.on('close', end);
    socket.on('error', end);
    socket.write(text);
  });
}
const portOf2 = (): number => Number(new URL(t.url).port);
const auth = () => `authorization: Bearer ${token.reader}\r\nhost: h\r\n`;

describe('requests', () => {
  it.each([
    ['a head that never ends', () => raw('GET / HTTP/1.1\r\n', 'x-a: b\r\n'), 'TIMEOUT'],
    [
      'a body that never comes',
      () =>
        raw(
          `POST /api/plugins/search HTTP/1.1\r\n${auth()}content-type: application/json\r\ncontent-length: 9\r\n\r\n`,
        ),
      'TIMEOUT',
    ],
    ['a head over the limit', () => raw(`GET / HTTP/1.1\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`), 'BODY_TOO_LARGE'],
    [
      'two lengths of one body',
      () => raw(`POST /api/plugins/search HTTP/1.1\r\n${auth()}content-length: 2\r\ncontent-length: 3\r\n\r\n{}`),
      'BAD_REQUEST',
    ],
    [
      'a length and chunks',
      () =>
        raw(
          `POST /api/plugins/search HTTP/1.1\r\n${auth()}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
        ),
      'BAD_REQUEST',
    ],
    [
      'a header folded over two lines',
      () => raw(`GET /api/plugins HTTP/1.1\r\nx: a\r\n b\r\nhost: h\r\n\r\n`),
      'BAD_REQUEST',
    ],
    ['a bare line feed in a header', () => raw(`GET /api/plugins HTTP/1.1\nx: a\n\n`), 'BAD_REQUEST'],
  ])('%s → %s', async (_what, attempt, code) => {
    const before = await state();
    const heard = await (attempt as () => Promise<string>)();
    expect(heard).toContain(`"code":"${code}"`);
    expect(await state()).toBe(before);
  });

  it('refuses a body that says it is too large before it comes, and gives up one that does not come', async () => {
    const head = `POST /api/plugins/search HTTP/1.1\r\n${auth()}content-type: application/json\r\n`;
    expect(await raw(`${head}content-length: 999999999\r\n\r\n`)).toContain('"code":"BODY_TOO_LARGE"');
    expect(await raw(`${head}content-length: 9\r\n\r\n`)).toContain('No byte of the body came');
  });

  it('puts no request id of the caller’s into its answer that could end a header', async () => {
    const heard = await raw(
      `GET /api/nothing HTTP/1.1\r\nhost: h\r\nx-request-id: a;b\tc\r\nconnection: close\r\n\r\n`,
    );
    expect(heard).not.toContain('a;b');
    const given = await ask(t.url, 'GET', '/api/nothing', { headers: { 'x-request-id': 'good-1' } });
    expect(given.headers.get('x-request-id')).toBe('good-1');
  });

  it('takes no address with a line break for the origin of an archive', async () => {
    const before = await state();
    const request = await zipRequest(token.publisher ?? '', []);
    const headers = { ...request.headers, 'haivemind-origin': 'https://a b' };
    expect((await ask(t.url, 'POST', '/api/plugins/register', { ...request, headers })).code).toBe('BAD_REQUEST');
    expect(await state()).toBe(before);
  });
});

describe('names that look like others', () => {
  it.each(['elasticsearch', 'elastic_search', 'elastic.search', 'e1astic-search', 'ela5tic-search', 'e-lastic-search'])(
    '%s beside elastic-search → NAME_CONFUSING',
    async (name) => {
      const before = await state();
      expect((await register(t.url, token.publisher ?? '', { name })).code).toBe('NAME_CONFUSING');
      expect(await state()).toBe(before);
    },
  );
  it('sees rn for m and vv for w, and an operator may register both', async () => {
    expect(lookOf('rnodern-vveb')).toBe(lookOf('modem-web'));
    expect(lookOf('search-a')).not.toBe(lookOf('search-b'));
    const operator = await t.token(['operator']);
    expect((await register(t.url, operator, { name: 'elasticsearch' })).status).toBe(200);
    expect((await register(t.url, token.publisher ?? '', { name: 'elastic-search', version: '1.1.0' })).status).toBe(
      200,
    );
  });
});

describe('texts of others', () => {
  const script = '<script>alert(1)</script>';
  it('reach a browser as data only', async () => {
    await publish(t.url, token.publisher ?? '', { name: 'scripted', manifest: { description: script } });
    for (const path of ['/api/plugins/scripted', '/api/plugins', `/api/${script}`, '/openapi.json', '/healthz']) {
      const answer = await ask(t.url, 'GET', path, { token: token.reader });
      expect(answer.headers.get('content-type')).toMatch(/^application\/(json|problem\+json)/);
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
      expect(answer.headers.get('content-security-policy')).toBe("default-src 'none'");
    }
  });

  it('set no prototype, neither by JSON nor by YAML', async () => {
    const front =
      '---\ndescription: d\n__proto__:\n  polluted: yes\nconstructor:\n  prototype:\n    polluted: yes\n---\nx\n';
    const manifest = `{"name":"polluter","version":"1.0.0","description":"d","author":{"name":"A"},"__proto__":{"polluted":"yes"},"constructor":{"prototype":{"polluted":"yes"}}}`;
    const hooks = '{"__proto__":{"polluted":"yes"},"hooks":{"__proto__":[{"hooks":[]}]}}';
    await ask(
      t.url,
      'POST',
      '/api/plugins/register',
      await zipRequest(token.publisher ?? '', [
        { name: 'commands/c.md', bytes: front },
        { name: 'hooks/hooks.json', bytes: hooks },
      ]),
    );
    await register(t.url, token.publisher ?? '', {
      name: 'polluter',
      files: { '.claude-plugin/plugin.json': manifest },
    });
    for (const body of [
      '{"__proto__":{"polluted":"yes"},"search_query":"x"}',
      '{"constructor":{"prototype":{"polluted":"yes"}}}',
    ])
      await ask(t.url, 'POST', '/api/plugins/search', {
        token: token.reader,
        raw: body,
        headers: { 'content-type': 'application/json' },
      });
    expect(({} as { polluted?: string }).polluted).toBeUndefined();
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  it('forge no entry of the log and steer no terminal that shows it', () => {
    const lines: string[] = [];
    const log = createLog('info', (line) => lines.push(line));
    const evil = 'x\n{"level":"info","msg":"forged"}\r\u001b[2J\u009b31m\u2028\u202e\u0000';
    log.info({ path: evil, token: `hvt_${'A'.repeat(43)}` }, evil);
    expect(lines).toHaveLength(1);
    expect(lines[0]?.trimEnd()).toMatch(/^[\u0020-\u007e]*$/);
    expect(JSON.parse(lines[0] ?? '').path).toBe(evil);
    expect(lines[0]).not.toContain('hvt_A');
  });

  it('steer no terminal of hv', () => {
    const evil = 'a\u001b]0;title\u0007\u001b[2Jb\u009b31m\u202ec\rd';
    expect(harmless(`\u001b[1m${evil}\u001b[22m\n`)).toBe('\u001b[1ma]0;title[2Jb31mcd\u001b[22m\n');
    expect(clean(evil)).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(errorOutput(new HaiveError('NOT_FOUND', evil), false).stderr).not.toContain('\u001b');
  });
});
