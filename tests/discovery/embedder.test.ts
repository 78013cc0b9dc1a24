// The search with an embedder behind an OpenAI-compatible endpoint: a stand-in that knows concepts, and fails on request.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ENDPOINTS } from '../../server/src/contract/endpoints.ts';
import { readHubConfig } from '../../server/src/hub/config.ts';
import type { Call } from '../../server/src/hub/context.ts';
import { closeDiscovery, discoveryOf } from '../../server/src/hub/discovery/discovery-of.ts';
import { endpointEmbedder } from '../../server/src/hub/discovery/embedder.ts';
import { ModelVectors } from '../../server/src/hub/discovery/model-vectors.ts';
import { recommend } from '../../server/src/hub/recommend/recommend.ts';
import { operator, pack, reader, startTestHub, type TestHub } from '../contract/registry/test-hub.ts';
import { CONCEPTS } from './concepts.ts';

type Mode = 'ok' | 'error' | 'hang' | 'dimensions' | 'mixed' | 'turns' | 'text' | 'fewer' | 'zero' | 'null';
interface Asked {
  input: string[];
  model: string;
  authorization: string | undefined;
}

let server: Server;
let url: string;
let mode: Mode = 'ok';
let asked: Asked[] = [];

function vectorOf(text: string, extra: number): number[] {
  const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  const vector = CONCEPTS.map((list) => words.filter((w) => list.includes(w)).length);
  // A little of everything, so that every text has a direction.
  return [...vector, 0.1, ...Array.from({ length: extra }, () => 0)];
}

/** By how many its dimensions are more than usual. */
function more(index: number): number {
  if (mode === 'dimensions') return 3;
  if (mode === 'turns') return asked.length % 2;
  return mode === 'mixed' ? index : 0;
}

beforeAll(async () => {
  server = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const { input, model } = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    asked.push({ input, model, authorization: req.headers.authorization });
    if (mode === 'hang') return;
    if (mode === 'error') return void res.writeHead(500).end('no');
    if (mode === 'text') return void res.end('<html>');
    if (mode === 'null') return void res.end('null');
    const rows = (input as string[]).map((text, index) => ({
      index,
      embedding: mode === 'zero' ? [0, 0, 0, 0] : vectorOf(text, more(index)),
    }));
    // Backwards: the index says which text a vector belongs to.
    res.setHeader('content-type', 'application/json');
    res.end(JSON.stringify({ data: mode === 'fewer' ? rows.slice(1) : rows.reverse() }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  mode = 'ok';
  asked = [];
});

describe('an endpoint', () => {
  it('answers unit vectors in the order of the texts, and is told model and key', async () => {
    const embedder = endpointEmbedder({ url, model: 'm', key: 'secret' });
    const [cat, car] = await embedder.embed(['a cat', 'a car'], { timeoutMs: 5_000, as: 'document' });
    expect(cat?.[0]).toBeCloseTo(0.995, 2);
    expect(car?.[1]).toBeCloseTo(0.995, 2);
    expect(asked[0]).toEqual({ input: ['a cat', 'a car'], model: 'm', authorization: 'Bearer secret' });
  });

  it.each<[Mode, RegExp]>([
    ['error', /HTTP 500/],
    ['hang', /in time/],
    ['text', /not JSON/],
    ['null', /not one vector for each/],
    ['fewer', /not one vector for each/],
    ['zero', /no direction/],
    ['mixed', /differ in their dimensions/],
  ])('that fails (%s) is a coded error', async (how, why) => {
    const embedder = endpointEmbedder({ url, model: 'm' });
    await embedder.embed(['first'], { timeoutMs: 5_000, as: 'document' });
    mode = how;
    const call = embedder.embed(['a', 'b'], { timeoutMs: 300, as: 'document' });
    await expect(call).rejects.toMatchObject({ code: 'EMBEDDER_FAILED', message: expect.stringMatching(why) });
  });

  it('that is not there is one, too', async () => {
    const embedder = endpointEmbedder({ url: 'http://127.0.0.1:1/v1', model: 'm' });
    const call = embedder.embed(['a'], { timeoutMs: 2_000, as: 'question' });
    await expect(call).rejects.toMatchObject({ code: 'EMBEDDER_FAILED', message: /cannot be reached/ });
  });
});

describe('a hub with an embedder', () => {
  let t: TestHub;
  beforeEach(async () => {
    t = await startTestHub('sqlite');
    t.hub.config.embeddings = { url, model: 'm', key: undefined };
    for (let i = 0; i < 12; i++) {
      const [a, b] = CONCEPTS[i % 3] ?? [];
      await publish(`plugin-${i}`, `${a} ${b} number${i}`);
    }
  });
  afterEach(async () => {
    await closeDiscovery(t.hub.store);
    await t.drop();
  });
  const publish = async (name: string, description: string, version = '1.0.0') => {
    await t.register(
      pack(name, version, { manifest: { description }, files: { 'commands/go.md': '---\ndescription: go\n---\n' } }),
    );
    await t.call('publish', { as: operator, body: { plugin_id: `plugin_${name}_${version}`, all: true } });
  };
  const search = (search_query: string) => t.call('search', { as: reader, body: { search_query, limit: 4 } });
  const settled = () => discoveryOf(t.hub).settled();
  const kinds = (results: { name: string }[]) => results.map((r) => Number(r.name.split('-')[1]) % 3);

  it('finds by meaning what shares no word, once every plugin has a vector', async () => {
    const early = await search('automobile');
    expect(early).toMatchObject({ backend: 'embedded', note: 'The embedder has not made all vectors yet' });
    await settled();
    const late = await search('automobile');
    expect(late).toMatchObject({ backend: 'endpoint' });
    expect(late.note).toBeUndefined();
    expect(kinds(late.results)).toEqual([1, 1, 1, 1]);
    expect(kinds((await search('pastry')).results)).toEqual([2, 2, 2, 2]);
    // Words still count: the number is only in one.
    expect((await search('automobile number7')).results[0]?.name).toBe('plugin-7');
  });

  it('scores what only the meaning finds, lists nothing else, and says when nothing fits', async () => {
    await search('x');
    await settled();
    const found = await t.call('search', { as: reader, body: { search_query: 'automobile', limit: 50 } });
    expect(kinds(found.results)).toEqual([1, 1, 1, 1]);
    expect(found.weak).toBe(false);
    expect(found.results[0]?.score).toBeGreaterThan(0.9);
    expect(found.results[0]?.reason).toBe('none of the words, but texts akin to them');
    expect(await search('nonesuch')).toMatchObject({ results: [], weak: true, backend: 'endpoint' });
    const body = ENDPOINTS.recommend.body.parse({ task: 'automobile', limit: 20 });
    const advice = await recommend(t.hub, { principal: operator, params: {}, body } as unknown as Call<'recommend'>);
    expect(advice).toMatchObject({ weak: false });
    expect(kinds((advice as { recommendations: { name: string }[] }).recommendations)).toEqual([1, 1, 1, 1]);
  });

  it('is told nothing of what is not offered, which is found by its words alone', async () => {
    await t.register(pack('hush', '1.0.0', { manifest: { description: 'Clandestine gearbox' } }));
    await search('x');
    await settled();
    const all = { as: operator, body: { search_query: 'clandestine gearbox', limit: 50 } };
    expect((await t.call('search', all)).results[0]?.name).toBe('hush');
    await settled();
    expect(asked.some(({ input }) => input.some((text) => text.includes('Clandestine')))).toBe(false);
    const alike = await t.call('search', { as: operator, body: { search_query: 'automobile', limit: 50 } });
    expect(kinds(alike.results)).toEqual([1, 1, 1, 1]);
  });

  it('asks only for what changed', async () => {
    await search('x');
    await settled();
    const before = asked.length;
    await publish('plugin-0', 'diesel gearbox', '2.0.0');
    await search('automobile');
    await settled();
    const documents = asked.slice(before).filter((a) => a.input.some((text) => text.startsWith('plugin ')));
    expect(documents.flatMap((a) => a.input)).toHaveLength(1);
    expect(
      (await t.call('search', { as: reader, body: { search_query: 'automobile', limit: 5 } })).results.map(
        (r) => r.name,
      ),
    ).toContain('plugin-0');
  });

  it.each<[Mode, RegExp]>([
    ['error', /HTTP 500/],
    ['hang', /in time/],
    ['dimensions', /dimensions/],
  ])('goes on with its own vectors while the embedder fails (%s), says so, and takes it in again', async (how, why) => {
    await search('x');
    await settled();
    mode = how;
    const failing = await search('kitten');
    expect(failing).toMatchObject({ backend: 'embedded', note: expect.stringMatching(why) });
    expect(kinds(failing.results)).toEqual([0, 0, 0, 0]);
    // It is left in peace for a while: the next search does not wait for it.
    const calls = asked.length;
    expect((await search('kitten whiskers')).note).toMatch(why);
    expect(asked.length).toBe(calls);
    mode = 'ok';
    await expect.poll(async () => (await search('feline')).backend).toBe('endpoint');
  });

  it.each([
    ['after it had answered with others', 'ok'],
    ['after its very first answers', 'turns'],
  ] as const)('makes all vectors anew where the embedder answers with other dimensions %s', async (_, first) => {
    mode = first;
    await search('x');
    await settled();
    for (const next of ['dimensions', 'ok'] as const) {
      mode = next;
      await expect.poll(async () => (await search('automobile')).backend, { interval: 300 }).toBe('embedded');
      await expect.poll(async () => (await search('automobile')).backend, { interval: 300 }).toBe('endpoint');
      expect(kinds((await search('automobile')).results)).toEqual([1, 1, 1, 1]);
    }
  });

  it('fetches what was missing when an embedder comes that was not there at the start', async () => {
    mode = 'error';
    expect((await search('kitten')).backend).toBe('embedded');
    await settled();
    mode = 'ok';
    await expect.poll(async () => (await search('automobile')).backend, { interval: 300 }).toBe('endpoint');
  });
});

it('vectors of a model with other dimensions each time are given up, not fetched for ever', async () => {
  let calls = 0;
  const embed = async (texts: readonly string[]) => {
    calls++;
    return texts.map(() => new Float32Array(2 + (calls % 2)).fill(0.5));
  };
  const vectors = new ModelVectors({ kind: 'endpoint', id: 'turns', batch: 1, embed });
  for (const name of ['a', 'b', 'c', 'd'])
    vectors.put({ name, description: name, keywords: [], useCases: [], components: [], body: '' } as never);
  const renewing = vectors.renew(new AbortController().signal);
  await expect(renewing).rejects.toMatchObject({ code: 'EMBEDDER_FAILED', message: /dimensions where it answered/ });
  expect([calls, vectors.ready]).toEqual([3, false]);
});

describe('its configuration', () => {
  const read = (env: Record<string, string>) =>
    readHubConfig({}, { HAIVEMIND_HOME: '/nonexistent', ...env }).embeddings;
  it('is a folder, from where the hub was started', () => {
    const env = { HAIVEMIND_HOME: '/nonexistent', HAIVEMIND_EMBEDDINGS_FOLDER: 'minilm' };
    expect(readHubConfig({}, env, '/models').embeddings).toEqual({ folder: '/models/minilm', runtime: undefined });
    const runtime = readHubConfig(
      {},
      { ...env, HAIVEMIND_ONNX_RUNTIME: '/opt/onnxruntime-node' },
      '/models',
    ).embeddings;
    expect(runtime).toEqual({ folder: '/models/minilm', runtime: '/opt/onnxruntime-node' });
  });
  it('is an address and a model, together', () => {
    expect(read({})).toBeUndefined();
    expect(
      read({ HAIVEMIND_EMBEDDINGS_URL: 'http://127.0.0.1:11434/v1/', HAIVEMIND_EMBEDDINGS_MODEL: 'nomic' }),
    ).toEqual({
      url: 'http://127.0.0.1:11434/v1',
      model: 'nomic',
      key: undefined,
    });
  });
  it.each([
    [{ HAIVEMIND_EMBEDDINGS_URL: 'http://127.0.0.1/v1' }],
    [{ HAIVEMIND_EMBEDDINGS_MODEL: 'm' }],
    [{ HAIVEMIND_EMBEDDINGS_URL: 'localhost', HAIVEMIND_EMBEDDINGS_MODEL: 'm' }],
    [{ HAIVEMIND_EMBEDDINGS_FOLDER: '/m', HAIVEMIND_EMBEDDINGS_URL: 'http://127.0.0.1/v1' }],
    [{ HAIVEMIND_EMBEDDINGS_FOLDER: '/m', HAIVEMIND_EMBEDDINGS_MODEL: 'm' }],
  ])('%j is refused', (env) => {
    expect(() => read(env as never)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });
});

it('the cosine that says nothing is asked of the model that made the vectors, anew of another one', async () => {
  let [dimensions, cosine] = [2, 0.8];
  const embed = async (texts: readonly string[], { as }: { as: string }) =>
    texts.map(() => {
      const vector = new Float32Array(dimensions);
      vector.set(as === 'document' ? [1, 0] : [cosine, Math.sqrt(1 - cosine ** 2)]);
      return vector;
    });
  const vectors = new ModelVectors({ kind: 'endpoint', id: 'changes', batch: 5, embed });
  vectors.put({ name: 'a', description: 'a', keywords: [], useCases: [], components: [], body: '' });
  const { signal } = new AbortController();
  await vectors.renew(signal);
  expect([vectors.noise, vectors.ready, vectors.due]).toEqual([expect.closeTo(0.8), true, false]);
  [dimensions, cosine] = [3, 0.3];
  await expect(vectors.embed('x', [])).rejects.toMatchObject({ code: 'EMBEDDER_FAILED' });
  await vectors.renew(signal);
  expect([vectors.noise, vectors.ready, vectors.due]).toEqual([expect.closeTo(0.3), true, false]);
});
