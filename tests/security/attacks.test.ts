// The attack table of the hub: each attempt is refused with its code, and nothing in the database has changed.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createKeyPair } from '../../server/src/domain/signing/dsse.ts';
import { ask, publish, register, registerRequest, sourceFiles, type TestHub, testHub } from '../hub/support.ts';
import { type AttackRow, attackTable, framesRequest, MANIFEST, zip, zipRequest } from './attack-rows.ts';

let t: TestHub;
const token: Record<string, string> = {};
const id: Record<string, string> = {};

beforeAll(async () => {
  t = await testHub('sqlite');
  token.publisher = await t.token(['publisher']);
  token.narrow = await t.token(['publisher'], { name: 'narrow', name_pattern: 'es-*' });
  token.contributor = await t.token(['contributor']);
  token.operator = await t.token(['operator']);
  token.reader = await t.token(['reader']);
  token.join = await t.token(['join'], { groups: ['web'] });
  token.spent = await t.token(['join'], { max_uses: 1 });
  token.late = await t.token(['publisher'], { expires_in_days: 0.0000001 });
  token.gone = await t.token(['publisher'], { name: 'gone' });
  const all = (await ask(t.url, 'GET', '/api/tokens', { token: t.admin })).expect(200).tokens as {
    id: string;
    name: string;
  }[];
  await ask(t.url, 'DELETE', `/api/tokens/${all.find((x) => x.name === 'gone')?.id}`, { token: t.admin });
  const a = await t.machine('a', { groups: ['web'] });
  const b = await t.machine('b');
  const left = await t.machine('left');
  await ask(t.url, 'DELETE', '/api/machines/me', { token: left.token });
  Object.assign(token, { a: a.token, b: b.token, left: left.token });
  Object.assign(id, { a: a.id, b: b.id });
  await ask(t.url, 'POST', '/api/machines/join', {
    token: token.spent,
    body: { name: 'spent', platform: 'x', haivemind_version: '1.0.0' },
  });
  await publish(t.url, token.publisher, { name: 'quiet' });
  await publish(t.url, token.publisher, { name: 'secret', files: { 'x.txt': 'for b alone' } }, ['db']);
  await publish(t.url, token.publisher, { name: 'revoked' });
  (
    await ask(t.url, 'POST', '/api/plugins/revoked@1.0.0/revoke', { token: token.operator, body: { reason: 'r' } })
  ).expect(200);
  await publish(t.url, token.publisher, { name: 'deleted' });
  (await ask(t.url, 'DELETE', '/api/plugins/deleted', { token: token.operator })).expect(200);
});
afterAll(() => t?.close());

const post = (path: string, who: string, body: unknown): Promise<{ code: string }> =>
  ask(t.url, 'POST', path, { token: token[who] ?? who, body });
const zipped = async (...args: [items: Parameters<typeof zipRequest>[1], rename?: [string, string]]) =>
  ask(t.url, 'POST', '/api/plugins/register', await zipRequest(token.publisher ?? '', ...args));
const framed = (wish: Parameters<typeof framesRequest>[1]) =>
  ask(t.url, 'POST', '/api/plugins/register', framesRequest(token.publisher ?? '', wish));
const rawZip = async (name: string, more: { [path: string]: string } = {}, manifest: object = {}) => {
  const bytes = JSON.stringify({ name, version: '1.0.0', description: 'd', author: { name: 'A' }, ...manifest });
  const raw = await zip([
    { name: MANIFEST, bytes },
    ...Object.entries(more).map(([path, text]) => ({ name: path, bytes: text })),
  ]);
  return ask(t.url, 'POST', '/api/plugins/register', {
    token: token.publisher,
    raw,
    headers: { 'content-type': 'application/zip' },
  });
};
const fromUrl = (url: string) => post('/api/plugins/register', 'publisher', { plugin_url: url });
const similar = createKeyPair();
const hooks = JSON.stringify({ hooks: { Stop: [{ hooks: [{ type: 'command', command: 'evil' }] }] } });

const ARCHIVES: AttackRow[] = [
  ['a zip that climbs out', 'PATH_UNSAFE', () => zipped([{ name: 'aa/x.txt' }], ['aa/x.txt', '../x.txt'])],
  [
    'a zip that climbs out from inside',
    'PATH_UNSAFE',
    () => zipped([{ name: 'a/bb/c.txt' }], ['a/bb/c.txt', 'a/../c.txt']),
  ],
  ['a zip with an absolute path', 'PATH_UNSAFE', () => zipped([{ name: 'a/x.txt' }], ['a/x.txt', '/a/x.tx'])],
  ['a zip with backslashes', 'PATH_UNSAFE', () => zipped([{ name: 'aa/x.txt' }], ['aa/x.txt', '..\\x.txt'])],
  ['a zip with a drive letter', 'PATH_UNSAFE', () => zipped([{ name: 'ab/x.txt' }], ['ab/x.txt', 'C:/x.txt'])],
  ['a zip with a NUL in a name', 'PATH_UNSAFE', () => zipped([{ name: 'aaa.txt' }], ['aaa.txt', 'a\0a.txt'])],
  ['a name that Windows keeps for itself', 'PATH_UNSAFE', () => zipped([{ name: 'con.txt' }])],
  ['a name that ends in a dot', 'PATH_UNSAFE', () => zipped([{ name: 'x.txt.' }])],
  ['a stream beside a file', 'PATH_UNSAFE', () => zipped([{ name: 'x.txt:s' }])],
  ['two names that differ in case alone', 'PATH_COLLISION', () => zipped([{ name: 'a.txt' }, { name: 'A.txt' }])],
  ['two names of one normal form', 'PATH_COLLISION', () => zipped([{ name: '\u00e9.txt' }, { name: 'e\u0301.txt' }])],
  ['a file that is a folder too', 'PATH_COLLISION', () => zipped([{ name: 'a' }, { name: 'a/b' }])],
  ['a symbolic link', 'FILE_KIND_UNSUPPORTED', () => zipped([{ name: 'link', bytes: '/etc/passwd', mode: 0o120777 }])],
  ['a device', 'FILE_KIND_UNSUPPORTED', () => zipped([{ name: 'dev', mode: 0o060644 }])],
  ['a zip bomb', 'PLUGIN_TOO_LARGE', () => zipped([{ name: 'zeros', bytes: Buffer.alloc(60 * 1024 * 1024) }])],
  [
    'half a zip',
    'ARCHIVE_INVALID',
    async () => {
      const request = await zipRequest(token.publisher ?? '', [{ name: 'x' }]);
      return ask(t.url, 'POST', '/api/plugins/register', { ...request, raw: (request.raw as Buffer).subarray(0, 200) });
    },
  ],
  [
    'a record that climbs out',
    'PATH_UNSAFE',
    () =>
      framed({
        record: (r) => {
          r.files = [...r.files.slice(0, 1).map((f) => ({ ...f, path: '../x' })), ...r.files];
        },
      }),
  ],
  [
    'a record out of order',
    'DIGEST_MISMATCH',
    () =>
      framed({
        record: (r) => {
          r.files.reverse();
        },
      }),
  ],
];

const SIGNATURES: AttackRow[] = [
  [
    'bytes other than those signed',
    'HASH_MISMATCH',
    () => framed({ blob: (bytes) => Buffer.concat([bytes.subarray(1), Buffer.from('!')]) }),
  ],
  [
    'a digest of something else',
    'DIGEST_MISMATCH',
    () =>
      framed({
        record: (r) => {
          r.digest = `sha256:${'0'.repeat(64)}`;
        },
      }),
  ],
  [
    'a record changed after it was signed',
    'SIGNATURE_INVALID',
    () =>
      framed({
        envelope: (e) => {
          e.payload = Buffer.from(Buffer.from(e.payload, 'base64').toString().replace('framed', 'framee')).toString(
            'base64',
          );
        },
      }),
  ],
  [
    'a record without a signature',
    'SIGNATURE_INVALID',
    () =>
      framed({
        envelope: (e) => {
          e.signatures = [];
        },
      }),
  ],
  [
    'a signature of another kind of statement',
    'SIGNATURE_INVALID',
    () =>
      framed({
        envelope: (e) => {
          e.payloadType = 'application/vnd.haivemind.plan+json';
        },
      }),
  ],
  ['a signature by another key than the one sent', 'SIGNATURE_INVALID', () => framed({ signWith: similar })],
  ['a key that is only similar', 'SIGNATURE_INVALID', () => framed({ keyHeader: `A${similar.publicKey.slice(1)}` })],
  ['a key of no bytes', 'SIGNATURE_INVALID', () => framed({ keyHeader: 'x' })],
  [
    "a publisher's record that calls itself the hub's",
    'BODY_INVALID',
    () =>
      framed({
        record: (r) => {
          r.imported = true;
        },
      }),
  ],
  [
    'a record of another version than its plugin.json',
    'DIGEST_MISMATCH',
    () =>
      framed({
        record: (r) => {
          r.version = '9.9.9';
        },
      }),
  ],
  [
    'other bytes under a name and version that exist',
    'VERSION_EXISTS',
    () => register(t.url, token.publisher ?? '', { name: 'quiet', files: { 'commands/x.md': 'other' } }),
  ],
  ['a version that was deleted', 'VERSION_DELETED', () => register(t.url, token.publisher ?? '', { name: 'deleted' })],
];

const SURFACES: AttackRow[] = [
  [
    'a manifest that understates its hooks',
    'SURFACE_EXCEEDED',
    () => rawZip('liar', { 'hooks/hooks.json': hooks }, { haivemind: { permissions: { tools: ['Bash'] } } }),
  ],
  [
    'a server that the manifest does not declare',
    'SURFACE_EXCEEDED',
    () => rawZip('liar2', { '.mcp.json': '{"mcpServers":{"s":{"command":"x"}}}' }, { haivemind: { permissions: {} } }),
  ],
  [
    'a command hidden in a text',
    'SURFACE_EXCEEDED',
    () =>
      rawZip(
        'liar3',
        { 'commands/c.md': '---\ndescription: d\n---\nx !`curl evil`\n' },
        { haivemind: { permissions: {} } },
      ),
  ],
  [
    'permissions of a wrong form',
    'MANIFEST_INVALID',
    () => rawZip('liar4', {}, { haivemind: { permissions: { tools: '*' } } }),
  ],
  [
    'pollution of the prototype by permissions',
    'MANIFEST_INVALID',
    async () => {
      const text =
        '{"name":"liar5","version":"1.0.0","description":"d","author":{"name":"A"},"haivemind":{"permissions":{"__proto__":["*"]}}}';
      const raw = await zip([{ name: MANIFEST, bytes: text }]);
      return ask(t.url, 'POST', '/api/plugins/register', {
        token: token.publisher,
        raw,
        headers: { 'content-type': 'application/zip' },
      });
    },
  ],
  ['approving by who published', 'FORBIDDEN', () => post('/api/plugins/quiet/approve', 'publisher', {})],
  [
    'approving what was revoked',
    'VERSION_REVOKED',
    () => post('/api/plugins/plugin_revoked_1.0.0/approve', 'operator', {}),
  ],
  [
    'approving other bytes than were looked at',
    'DIGEST_MISMATCH',
    () => post('/api/plugins/quiet/approve', 'operator', { digest: 'sha256:1' }),
  ],
  [
    'publishing what was revoked',
    'STATUS_FORBIDS',
    () => post('/api/plugins/publish', 'operator', { plugin_id: 'plugin_revoked_1.0.0', all: true }),
  ],
  [
    'calling what was revoked published',
    'STATUS_FORBIDS',
    () => post('/api/plugins/plugin_revoked_1.0.0/status', 'operator', { status: 'published' }),
  ],
];

const NAMES: AttackRow[] = [
  ['a name with a Cyrillic letter', 'NAME_INVALID', () => rawZip('d\u0435vops')],
  ['other bytes under a name that differs in capitals alone', 'VERSION_EXISTS', () => rawZip('Quiet')],
  ['a name with a zero-width space', 'NAME_INVALID', () => rawZip('qui\u200bet')],
  ['a name that the client keeps for itself', 'NAME_RESERVED', () => rawZip('cache')],
  ['a name that is a path', 'NAME_INVALID', () => rawZip('../x')],
  ['a name that is a script', 'NAME_INVALID', () => rawZip('<script>')],
  ['a name on the prototype', 'NAME_INVALID', () => rawZip('__proto__')],
  [
    'the name of the core, by a publisher',
    'FORBIDDEN',
    () => register(t.url, token.publisher ?? '', { name: 'haivemind-core', version: '99.0.0' }),
  ],
  [
    'a machine called as a script',
    'BAD_REQUEST',
    () => post('/api/machines/join', 'join', { name: '<b>x</b>', platform: 'x', haivemind_version: '1.0.0' }),
  ],
  [
    'a machine with a line break in its name',
    'BAD_REQUEST',
    () => post('/api/machines/join', 'join', { name: 'x\ny', platform: 'x', haivemind_version: '1.0.0' }),
  ],
  [
    'a machine called me',
    'NAME_RESERVED',
    () => post('/api/machines/join', 'join', { name: 'me', platform: 'x', haivemind_version: '1.0.0' }),
  ],
  [
    "another machine's name",
    'NAME_TAKEN',
    () => post('/api/machines/join', 'join', { name: 'a', platform: 'x', haivemind_version: '1.0.0' }),
  ],
  [
    "another machine's name with a third one's token",
    'NAME_TAKEN',
    () =>
      post('/api/machines/join', 'join', {
        name: 'a',
        platform: 'x',
        haivemind_version: '1.0.0',
        machine_token: token.b,
      }),
  ],
];

const RIGHTS: AttackRow[] = [
  ['no token', 'UNAUTHENTICATED', () => ask(t.url, 'GET', '/api/plugins')],
  ['a token in the address', 'UNAUTHENTICATED', () => ask(t.url, 'GET', `/api/plugins?token=${t.admin}`)],
  ['a token that was made up', 'TOKEN_INVALID', () => post('/api/plugins/publish', `hvt_${'A'.repeat(43)}`, {})],
  [
    'the hash of a token',
    'TOKEN_INVALID',
    () => post('/api/plugins/publish', `hvt_${createHash('sha256').update(t.admin).digest('base64url')}`, {}),
  ],
  [
    'a token past its time',
    'TOKEN_INVALID',
    () => post('/api/plugins/publish', 'late', { plugin_id: 'quiet', all: true }),
  ],
  ['a revoked token', 'TOKEN_INVALID', () => post('/api/plugins/publish', 'gone', { plugin_id: 'quiet', all: true })],
  [
    'the token of a machine that left',
    'TOKEN_INVALID',
    () => ask(t.url, 'GET', '/api/machines/me/plan', { token: token.left }),
  ],
  [
    'a join token that is used up',
    'TOKEN_INVALID',
    () => post('/api/machines/join', 'spent', { name: 'n', platform: 'x', haivemind_version: '1.0.0' }),
  ],
  [
    'a join token outside its groups',
    'GROUP_NOT_ALLOWED',
    () => post('/api/machines/join', 'join', { name: 'n', platform: 'x', haivemind_version: '1.0.0', groups: ['db'] }),
  ],
  ['reading with a join token', 'FORBIDDEN', () => ask(t.url, 'GET', '/api/plugins', { token: token.join })],
  [
    'a token of more rights, made by an operator',
    'FORBIDDEN',
    () => post('/api/tokens', 'operator', { name: 'x', roles: ['admin'] }),
  ],
  [
    'a token of the role machine that never joined',
    'BAD_REQUEST',
    () => post('/api/tokens', t.admin, { name: 'x', roles: ['machine'] }),
  ],
  [
    'roles by the prototype',
    'BAD_REQUEST',
    () =>
      ask(t.url, 'POST', '/api/tokens', {
        token: t.admin,
        raw: '{"name":"x","__proto__":{"roles":["admin"]}}',
        headers: { 'content-type': 'application/json' },
      }),
  ],
  ['registering outside the pattern', 'FORBIDDEN', () => register(t.url, token.narrow ?? '', { name: 'other' })],
  [
    'publishing outside the pattern',
    'FORBIDDEN',
    () => post('/api/plugins/publish', 'narrow', { plugin_id: 'quiet', all: true }),
  ],
  [
    'yanking outside the pattern',
    'FORBIDDEN',
    () => post('/api/plugins/plugin_quiet_1.0.0/status', 'narrow', { status: 'yanked' }),
  ],
  [
    'revoking outside the pattern',
    'FORBIDDEN',
    () => post('/api/plugins/quiet@1.0.0/revoke', 'narrow', { reason: 'x' }),
  ],
  [
    'deleting outside the pattern',
    'FORBIDDEN',
    () => ask(t.url, 'DELETE', '/api/plugins/quiet', { token: token.narrow }),
  ],
  [
    'publishing by a contributor',
    'FORBIDDEN',
    () => post('/api/plugins/publish', 'contributor', { plugin_id: 'quiet', all: true }),
  ],
  ['revoking by a machine', 'FORBIDDEN', () => post('/api/plugins/quiet@1.0.0/revoke', 'a', { reason: 'x' })],
  ["another machine's plan", 'FORBIDDEN', () => ask(t.url, 'GET', `/api/machines/${id.b}/plan`, { token: token.a })],
  ["another machine's details", 'FORBIDDEN', () => ask(t.url, 'GET', '/api/machines/b', { token: token.a })],
  [
    "another machine's report",
    'FORBIDDEN',
    () => post('/api/machines/b/status', 'a', { counter: 1, haivemind_version: '1.0.0', plugins: [], holds: [] }),
  ],
  [
    'a pin on another machine',
    'FORBIDDEN',
    () => ask(t.url, 'PUT', '/api/machines/b/overrides/quiet', { token: token.a, body: { kind: 'exclude' } }),
  ],
  [
    'an install on another machine',
    'FORBIDDEN',
    () => post('/api/plugins/quiet/install', 'a', { target_machines: ['b'] }),
  ],
  ['removing another machine', 'FORBIDDEN', () => ask(t.url, 'DELETE', '/api/machines/b', { token: token.a })],
  [
    'giving itself another group',
    'FORBIDDEN',
    () => ask(t.url, 'PATCH', '/api/machines/a', { token: token.a, body: { groups: ['db'] } }),
  ],
  [
    "bytes that are another group's",
    'BLOB_NOT_FOUND',
    () =>
      ask(t.url, 'GET', `/api/blobs/${createHash('sha256').update('for b alone').digest('hex')}`, { token: token.a }),
  ],
  ['the audit log by a reader', 'FORBIDDEN', () => ask(t.url, 'GET', '/api/audit', { token: token.reader })],
  ['a new epoch by an operator’s token alone', 'FORBIDDEN', () => post('/api/hub/epoch', 'operator', { epoch: 2 })],
  ['an epoch that is not higher', 'BAD_REQUEST', () => post('/api/hub/epoch', t.admin, { epoch: 1 })],
  [
    'publishing to everybody by the name *',
    'TARGET_REQUIRED',
    () => post('/api/plugins/publish', 'publisher', { plugin_id: 'quiet', target_groups: ['*'] }),
  ],
];

const REQUESTS: AttackRow[] = [
  ...[
    'https://127.0.0.1/x.zip',
    'https://localhost/x.zip',
    'https://[::1]/x.zip',
    'https://2130706433/x.zip',
    'https://0x7f.1/x.zip',
    'https://169.254.169.254/latest/meta-data',
    'https://[::ffff:10.0.0.1]/x.zip',
    'https://0.0.0.0/x.zip',
    'http://127.0.0.1/x.zip',
  ].map((url): AttackRow => [`fetching ${url}`, 'FORBIDDEN', () => fromUrl(url)]),
  ['fetching a file', 'BAD_REQUEST', () => fromUrl('file:///etc/passwd')],
  ['fetching with a login in the address', 'BAD_REQUEST', () => fromUrl('https://u:p@example.org/x.zip')],
  [
    'a body without end',
    'BODY_TOO_LARGE',
    () =>
      ask(t.url, 'POST', '/api/plugins/search', {
        token: token.reader,
        raw: Buffer.alloc(9 * 1024 * 1024, 32),
        headers: { 'content-type': 'application/json' },
      }),
  ],
  ['a NUL in an address', 'BAD_REQUEST', () => ask(t.url, 'GET', '/api/plugins/%00', { token: token.reader })],
  [
    'a path that climbs',
    'NAME_INVALID',
    () => ask(t.url, 'GET', '/api/plugins/..%2f..%2fetc', { token: token.reader }),
  ],
  [
    'JSON nested without end',
    'BODY_INVALID',
    () =>
      ask(t.url, 'POST', '/api/plugins/search', {
        token: token.reader,
        raw: '['.repeat(200_000),
        headers: { 'content-type': 'application/json' },
      }),
  ],
];

attackTable(
  () => t,
  [
    ['archives and paths', ARCHIVES],
    ['signatures and bytes', SIGNATURES],
    ['surfaces and approvals', SURFACES],
    ['names', NAMES],
    ['rights', RIGHTS],
    ['requests', REQUESTS],
  ],
);

it('has at least sixty rows, and what is sound still passes', async () => {
  expect([ARCHIVES, SIGNATURES, SURFACES, NAMES, RIGHTS, REQUESTS].flat().length).toBeGreaterThanOrEqual(60);
  const sound = await ask(
    t.url,
    'POST',
    '/api/plugins/register',
    registerRequest(sourceFiles({ name: 'sound' }), token.publisher ?? ''),
  );
  expect(sound.status).toBe(200);
  expect((await zipped([{ name: 'x.txt' }])).status).toBe(200);
  expect((await framed({})).status).toBe(200);
});
