import { setTimeout as sleep } from 'node:timers/promises';
import { ChromaClient } from 'chromadb';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BuiltInVectors } from '../../server/src/hub/discovery/built-in-vectors.ts';
import { openChroma } from '../../server/src/hub/discovery/chroma.ts';
import { ChromaService } from '../../server/src/hub/discovery/chroma-service.ts';
import type { SearchDocument } from '../../server/src/hub/discovery/document.ts';
import { SearchIndex } from '../../server/src/hub/discovery/search-index.ts';
import { type ChromaServer, chromaBinding, startChroma } from './chroma-server.ts';

const binding = await chromaBinding();
if ('missing' in binding) console.warn(`Chroma tests left out: ${binding.missing}`);

const WORDS = ['kitten purring whiskers', 'engine gearbox diesel', 'flour oven dough', 'shard index replica'];
const document = (i: number, extra = ''): SearchDocument => ({
  name: `plugin-${i}`,
  description: `${WORDS[i % 4]} item${i % 11} ${extra}`,
  keywords: [],
  useCases: [],
  components: [],
  body: '',
});
const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** Longer than a hub waits: a busy machine is no finding here, and one test is about slowness. */
const PATIENT_MS = 20_000;

describe.skipIf('missing' in binding)('the collection of a real Chroma server', () => {
  let server: ChromaServer;
  let index: SearchIndex;
  let vectors: BuiltInVectors;

  beforeAll(async () => {
    server = await startChroma('path' in binding ? binding.path : '');
  });
  afterAll(() => server?.drop());
  beforeEach(async () => {
    await server.kill();
    await server.start({ wiped: true });
    index = new SearchIndex();
    vectors = new BuiltInVectors();
    for (let i = 0; i < 120; i++) vectors.put(`plugin-${i}`, index.upsert(document(i)));
    Array.from(vectors.refit());
  });

  const serving = () => new ChromaService(() => openChroma(server.url), log, PATIENT_MS);
  const ask = (service: ChromaService, text = 'purring kitten') =>
    service.nearest(vectors.embed(index.bag(text)) as Float32Array, 20);

  /** Waits until it answers again; fails after 20 s. */
  async function healed(service: ChromaService): Promise<Map<string, number>> {
    for (let i = 0; i < 400; i++) {
      const answer = await ask(service);
      if (answer instanceof Map) return answer;
      await sleep(50);
    }
    throw new Error('Chroma was not taken in again within 20 s');
  }

  /** What the collection holds, by a client of its own. */
  async function held(): Promise<Map<string, string>> {
    return (await openChroma(server.url)).hashes();
  }

  async function expectLikeFresh(service: ChromaService): Promise<void> {
    const answer = await healed(service);
    const after = await held();
    const direct = vectors.nearest(index.bag('purring kitten'), 20);
    const fresh = serving();
    await (await openChroma(server.url)).rebuild('nobody', new Map());
    fresh.follow(vectors);
    await fresh.settled();
    expect(after).toEqual(await held());
    const again = (await ask(fresh)) as Map<string, number>;
    const cosines = (m: Map<string, number>) => [...m.values()].map((v) => Math.round(v * 1e4) / 1e4).sort();
    expect(cosines(answer)).toEqual(cosines(again));
    expect(cosines(answer)).toEqual(cosines(direct));
    await fresh.close();
  }

  it('answers as the hub itself does, and marks its model', async () => {
    const service = serving();
    expect(await ask(service)).toEqual({ unavailable: 'Chroma has not been filled yet' });
    service.follow(vectors);
    await service.settled();
    expect((await held()).size).toBe(120);
    expect(await (await openChroma(server.url)).model()).toBe(vectors.id);
    await expectLikeFresh(service);
    await service.close();
  });

  it('follows changes and removals, sending only those', async () => {
    const service = serving();
    service.follow(vectors);
    await service.settled();
    const before = await held();
    vectors.remove('plugin-0');
    vectors.put('plugin-4', index.upsert(document(4, 'flour oven dough')));
    service.follow(vectors);
    await service.settled();
    const after = await held();
    expect(after.has('plugin-0')).toBe(false);
    expect(after.get('plugin-4')).not.toBe(before.get('plugin-4'));
    expect([...after].filter(([name, hash]) => before.get(name) !== hash)).toHaveLength(1);
    await service.close();
  });

  it('heals after kill -9 in the middle of indexing', async () => {
    let killed = false;
    const service = new ChromaService(
      async () => {
        const real = await openChroma(server.url);
        return {
          ...real,
          async rebuild(model, rows) {
            if (killed) return real.rebuild(model, rows);
            killed = true;
            // Half of the rows are in the collection that is being built.
            const half = new Map([...rows].slice(0, 60));
            await real.rebuild(model, half);
            await server.kill();
            await real.upsert(rows);
          },
        };
      },
      log,
      PATIENT_MS,
    );
    service.follow(vectors);
    await service.settled();
    expect(killed).toBe(true);
    expect(await ask(service)).toMatchObject({ unavailable: expect.stringContaining('Chroma is left out') });
    await server.start();
    await expectLikeFresh(service);
    await service.close();
  });

  it('notices a wiped server with the next search, answers nothing wrong, and fills it again', async () => {
    const service = serving();
    service.follow(vectors);
    await service.settled();
    await server.kill();
    await server.start({ wiped: true });
    expect(await ask(service)).toHaveProperty('unavailable');
    await expectLikeFresh(service);
    await service.close();
  });

  it('notices rows that somebody deleted or added', async () => {
    const service = serving();
    service.follow(vectors);
    await service.settled();
    const other = await openChroma(server.url);
    await other.remove([...(await held()).keys()].slice(0, 115));
    expect(await ask(service)).toHaveProperty('unavailable');
    await healed(service);
    const vector = vectors.vectors?.get('plugin-1') as Float32Array;
    await other.model();
    await other.upsert(new Map([['stranger', { vector, hash: 'x' }]]));
    service.follow(vectors);
    await service.settled();
    expect((await held()).has('stranger')).toBe(false);
    await service.close();
  });

  it.each([
    ['of another model', { haivemind_model: 'other:1' }, 'cosine' as const],
    ['that nobody marked', undefined, 'cosine' as const],
    ['with another measure', 'ours', 'l2' as const],
  ])('replaces a collection %s', async (_, marked, space) => {
    const url = new URL(server.url);
    const client = new ChromaClient({ host: url.hostname, port: Number(url.port), ssl: false });
    const metadata = marked === 'ours' ? { haivemind_model: vectors.id ?? '' } : marked;
    const foreign = await client.createCollection({
      name: 'plugin_registry',
      embeddingFunction: null,
      configuration: { hnsw: { space } },
      ...(metadata === undefined ? {} : { metadata: metadata as Record<string, string> }),
    });
    await foreign.upsert({
      ids: ['plugin-1', 'foreign'],
      embeddings: [
        [1, 0, 0],
        [0, 1, 0],
      ],
    });
    const service = serving();
    service.follow(vectors);
    await service.settled();
    expect((await held()).has('foreign')).toBe(false);
    await expectLikeFresh(service);
    await service.close();
  });

  it('is left out while a new model is being filled in', async () => {
    const service = serving();
    service.follow(vectors);
    await service.settled();
    vectors.put('plugin-200', index.upsert(document(200)));
    Array.from(vectors.refit());
    expect(await ask(service)).toEqual({ unavailable: 'Chroma is being filled for a new model' });
    service.follow(vectors);
    await service.settled();
    await expectLikeFresh(service);
    await service.close();
  });

  it('is left out when it is slow', async () => {
    const real = await openChroma(server.url);
    const slow = new ChromaService(
      async () => ({ ...real, nearest: () => sleep(2_000, new Map<string, number>()) }),
      log,
    );
    slow.follow(vectors);
    await slow.settled();
    expect(await ask(slow)).toEqual({ unavailable: 'Chroma is left out: no answer within 400 ms' });
    await slow.close();
  });
});

it('is left out, with the reason, where no server is', async () => {
  const vectors = new BuiltInVectors();
  const index = new SearchIndex();
  for (let i = 0; i < 40; i++) vectors.put(`plugin-${i}`, index.upsert(document(i)));
  Array.from(vectors.refit());
  const service = new ChromaService(() => openChroma('http://127.0.0.1:1'), log);
  service.follow(vectors);
  await service.settled();
  const answer = await service.nearest(vectors.embed(index.bag('kitten')) as Float32Array, 5);
  expect(answer).toEqual({ unavailable: 'Chroma is left out: its server does not answer' });
  await service.close();
});
