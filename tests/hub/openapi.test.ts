import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ERRORS } from '../../server/src/domain/errors.ts';
import { ask, endpoints, type TestHub, testHub } from './support.ts';

type Json = Record<string, unknown>;
let t: TestHub;
let document: Json;
beforeAll(async () => {
  t = await testHub('sqlite');
  document = (await ask(t.url, 'GET', '/openapi.json')).expect(200);
});
afterAll(() => t?.close());

it('describes every endpoint, its parameters, body and who may call', () => {
  const paths = document.paths as Record<string, Record<string, Json>>;
  let operations = 0;
  for (const [name, endpoint] of endpoints()) {
    const operation = paths[endpoint.path]?.[endpoint.method.toLowerCase()] as Json;
    expect(operation, name).toBeDefined();
    expect(operation.operationId).toBe(name);
    const inPath = ((operation.parameters ?? []) as Json[]).filter((p) => p.in === 'path').map((p) => p.name);
    expect(inPath).toEqual([...endpoint.path.matchAll(/\{(\w+)\}/g)].map((m) => m[1]));
    expect(operation.requestBody !== undefined).toBe(endpoint.body !== undefined);
    expect(operation.security).toEqual(endpoint.access === 'public' ? [] : [{ token: [] }]);
    operations++;
  }
  // The live channel is no endpoint of the contract.
  expect(paths['/ws/plugins']?.get?.operationId).toBe('live');
  const described = Object.values(paths).flatMap((path) => Object.keys(path)).length;
  expect(described).toBe(operations + 1);
  expect(new Set(Object.values(paths).flatMap((p) => Object.values(p).map((o) => o.operationId))).size).toBe(
    operations + 1,
  );
});

it('is OpenAPI 3.1 whose references all lead somewhere', () => {
  expect(document.openapi).toMatch(/^3\.1\./);
  const references: string[] = [];
  JSON.stringify(document, (key, value) => {
    if (key === '$ref') references.push(value as string);
    return value;
  });
  expect(references.length).toBeGreaterThan(40);
  for (const reference of references) {
    expect(reference).toMatch(/^#\//);
    let at: unknown = document;
    for (const step of reference.slice(2).split('/')) at = (at as Json | undefined)?.[step];
    expect(at, reference).toBeDefined();
  }
});

it('knows every error code', () => {
  const schemas = (document.components as Json).schemas as Record<string, Json>;
  expect(schemas.ErrorCode?.enum).toEqual(Object.keys(ERRORS));
});

it('is not sent again to who has it', async () => {
  const etag = (await ask(t.url, 'GET', '/openapi.json')).headers.get('etag') ?? '';
  expect(
    (await ask(t.url, 'GET', '/openapi.json', { headers: { 'if-none-match': `"other", W/${etag}` } })).status,
  ).toBe(304);
});

/** An operation's header parameters by name. */
function headersOf(path: string, method: string): Record<string, string> {
  const { parameters } = document.components as { parameters: Record<string, Json> };
  const operation = (document.paths as Record<string, Record<string, Json>>)[path]?.[method] as Json;
  const all = ((operation.parameters ?? []) as Json[]).map((given) =>
    given.$ref === undefined ? given : (parameters[String(given.$ref).split('/').at(-1) ?? ''] as Json),
  );
  return Object.fromEntries(all.filter((p) => p.in === 'header').map((p) => [p.name, p.description]));
}

it('names the headers that an address reads', () => {
  expect(headersOf('/api/plugins/register', 'post')).toMatchObject({
    'haivemind-publisher-key': expect.stringContaining('Ed25519'),
    'haivemind-origin': expect.any(String),
  });
  for (const [path, method] of [
    ['/api/machines/join', 'post'],
    ['/api/machines/{machine}/plan', 'get'],
    ['/ws/plugins', 'get'],
  ] as const)
    expect(headersOf(path, method)['haivemind-proof']).toContain('haivemind-proof-v1');
  expect(headersOf('/api/machines/{machine}/plan', 'get')).toHaveProperty('a-im');
  expect(headersOf('/api/collective/memories', 'post')).toHaveProperty('idempotency-key');
  expect(headersOf('/healthz', 'get')).toEqual({});
});

it('says of each address whether what did not change is a 304', async () => {
  const machine = await t.machine('reader');
  const paths = document.paths as Record<string, { get?: { responses: Json; operationId: string } }>;
  let [asked, unchanged] = [0, 0];
  for (const [path, { get }] of Object.entries(paths)) {
    if (get === undefined || /\{(?!machine)/.test(path) || ['live', 'bundle', 'bundleInfo'].includes(get.operationId))
      continue;
    const ask_ = (token: string, headers = {}) =>
      ask(t.url, 'GET', path.replace('{machine}', 'me'), { token, headers });
    let token = machine.token;
    let answer = await ask_(token);
    if (answer.status !== 200) {
      token = t.admin;
      answer = await ask_(token);
    }
    expect([path, answer.status]).toEqual([path, 200]);
    const etag = answer.headers.get('etag');
    expect([path, etag !== null]).toEqual([path, get.responses[304] !== undefined]);
    if (etag !== null && (await ask_(token, { 'if-none-match': etag })).status === 304) unchanged++;
    asked++;
  }
  expect(asked).toBeGreaterThan(15);
  // Not all: asking leaves traces that some of them show.
  expect(unchanged).toBeGreaterThan(10);
});

describe('a client that knows the document alone', () => {
  const hash = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex');
  const pair = generateKeyPairSync('ed25519');
  const publicKey = pair.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('base64');
  const signed = (bytes: Buffer) => sign(null, bytes, pair.privateKey).toString('base64');

  it('registers by frames', async () => {
    const manifest = Buffer.from('{"name":"by-hand","version":"1.0.0","description":"d","author":{"name":"A"}}');
    const command = Buffer.from('---\ndescription: Says hello\n---\nHello\n');
    const files = [
      { path: '.claude-plugin/plugin.json', sha256: hash(manifest), size: manifest.length, executable: false },
      { path: 'commands/hello.md', sha256: hash(command), size: command.length, executable: false },
    ];
    const [name, version] = ['by-hand', '1.0.0'];
    const rows = files.map((f) => [f.path, f.sha256, f.size, 0]);
    const digest = `sha256:${hash(JSON.stringify([1, name, version, rows]))}`;
    const packedAt = '2026-01-01T00:00:00Z';
    const record = Buffer.from(JSON.stringify({ format: 1, name, version, digest, files, imported: false, packedAt }));
    const payloadType = 'application/vnd.haivemind.version+json';
    const head = `DSSEv1 ${payloadType.length} ${payloadType} ${record.length} `;
    const keyid = hash(Buffer.from(publicKey, 'base64')).slice(0, 32);
    const signatures = [{ keyid, sig: signed(Buffer.concat([Buffer.from(head), record])) }];
    const envelope = Buffer.from(JSON.stringify({ payloadType, payload: record.toString('base64'), signatures }));
    const raw = Buffer.concat([
      Buffer.from(`{"t":"record","n":${envelope.length}}\n`),
      envelope,
      ...[manifest, command].flatMap((bytes) => [
        Buffer.from(`{"t":"blob","sha256":"${hash(bytes)}","enc":"identity","n":${bytes.length}}\n`),
        bytes,
      ]),
      Buffer.from('{"t":"end","n":0}\n'),
    ]);
    const headers = { 'content-type': 'application/vnd.haivemind.frames', 'haivemind-publisher-key': publicKey };
    const answer = await ask(t.url, 'POST', '/api/plugins/register', { token: t.admin, raw, headers });
    expect(answer.expect(200)).toMatchObject({ id: 'plugin_by-hand_1.0.0', digest });
  });

  it('joins with a key, and asks with it', async () => {
    const proof = (method: string, path: string, token: string) => {
      const seconds = String(Math.floor(Date.now() / 1000));
      const text = ['haivemind-proof-v1', method, path, seconds, hash(token)].join('\n');
      return { 'haivemind-proof': `${seconds}.${signed(Buffer.from(text))}` };
    };
    const [path, token] = ['/api/machines/join', t.hub.joinToken];
    const body = { name: 'by-hand', platform: 'p', haivemind_version: '1.0.0', public_key: publicKey };
    const joined = await ask(t.url, 'POST', path, { token, body, headers: proof('POST', path, token) });
    const own = String(joined.expect(200).token);
    const plan = '/api/machines/me/plan';
    expect((await ask(t.url, 'GET', plan, { token: own })).code).toBe('PROOF_REQUIRED');
    (await ask(t.url, 'GET', plan, { token: own, headers: proof('GET', plan, own) })).expect(200);
  });
});
