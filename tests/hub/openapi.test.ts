import { afterAll, beforeAll, expect, it } from 'vitest';
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
  const described = Object.values(paths).flatMap((path) => Object.keys(path)).length;
  expect(described).toBe(operations);
  expect(new Set(Object.values(paths).flatMap((p) => Object.values(p).map((o) => o.operationId))).size).toBe(
    operations,
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
