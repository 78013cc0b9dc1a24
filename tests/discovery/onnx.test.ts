// The search with a sentence encoder in a folder: a real runtime (WebAssembly) runs a graph of three concepts in the hub's thread for it.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { closeDiscovery, discoveryOf } from '../../server/src/hub/discovery/discovery-of.ts';
import type { Embedder } from '../../server/src/hub/discovery/embedder.ts';
import { onnxEmbedder } from '../../server/src/hub/discovery/onnx-embedder.ts';
import { operator, pack, reader, startTestHub } from '../contract/registry/test-hub.ts';
import { cachedPackage } from '../support/cached-package.ts';
import { REPOSITORY } from '../support/repository.ts';
import { CONCEPTS } from './concepts.ts';
import { type TinyOptions, writeTinyModel } from './tiny-model.ts';

const installed = await cachedPackage('onnxruntime-web', '1.30.0');
const runtime = 'path' in installed ? installed.path : '';
const here = describe.skipIf('missing' in installed);
if ('missing' in installed) console.log(`skipped: ${installed.missing}`);

let base: string;
let thread: string;
let folders = 0;
const embedders: Embedder[] = [];

beforeAll(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'hv onnx ü ')));
  await promisify(execFile)(process.execPath, ['build.mjs', 'embedder'], {
    cwd: REPOSITORY,
    env: { ...process.env, HAIVEMIND_DIST: base },
  });
  thread = join(base, 'embedder.mjs');
});
afterEach(async () => {
  for (const embedder of embedders.splice(0)) await embedder.close?.();
});
afterAll(() => rm(base, { recursive: true, force: true }));

async function modelFolder(options?: TinyOptions): Promise<string> {
  const folder = join(base, `model ${folders++}`);
  await mkdir(folder);
  await writeTinyModel(folder, options);
  return folder;
}
function embedderOf(folder: string, from = runtime): Embedder {
  const embedder = onnxEmbedder({ folder, runtime: from, thread });
  embedders.push(embedder);
  return embedder;
}
const document = { timeoutMs: 60_000, as: 'document' } as const;
const question = { timeoutMs: 60_000, as: 'question' } as const;
const dot = (a?: Float32Array, b?: Float32Array): number =>
  [...(a ?? [])].reduce((sum, x, i) => sum + x * (b?.[i] ?? 0), 0);
const lengthOf = (vector?: Float32Array): number => Math.sqrt(dot(vector, vector));

here('a model in a folder', () => {
  it('makes unit vectors in the order of the texts, near where the meaning is', async () => {
    const embedder = embedderOf(await modelFolder());
    const [cat, car, kitten] = await embedder.embed(['cat', 'a Car', 'kitten whiskers'], document);
    for (const vector of [cat, car, kitten]) expect(lengthOf(vector)).toBeCloseTo(1, 5);
    expect(dot(cat, kitten)).toBeGreaterThan(0.99);
    expect(dot(cat, car)).toBeLessThan(0.2);
  });

  it('is named by what it is made of', async () => {
    const ids: string[] = [];
    for (const options of [{}, {}, { inputs: ['input_ids'] }]) {
      const embedder = embedderOf(await modelFolder(options));
      await embedder.embed(['cat'], document);
      ids.push(embedder.id);
    }
    expect(ids[0]).toMatch(/^onnx:[0-9a-f]{16}$/);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
  });

  it('cuts a text at what the model takes, but keeps its last token', async () => {
    const embedder = embedderOf(await modelFolder());
    const [cut, kept] = await embedder.embed(
      ['cat cat cat cat cat cat cat car car', 'cat cat cat cat cat cat cat car'],
      document,
    );
    expect(dot(cut, kept)).toBeCloseTo(1, 5);
  });

  it('pools and prompts as the folder says', async () => {
    const first = embedderOf(
      await modelFolder({ files: { '1_Pooling/config.json': { pooling_mode_cls_token: true } } }),
    );
    const [a, b] = await first.embed(['cat car car car', 'cat'], document);
    expect(dot(a, b)).toBeCloseTo(1, 5);
    const prompts = { query: 'ask ', document: 'tell ' };
    const prompted = embedderOf(await modelFolder({ files: { 'config_sentence_transformers.json': { prompts } } }));
    const [asked] = await prompted.embed(['cat'], question);
    const [told] = await prompted.embed(['cat'], document);
    expect(asked?.[3]).toBeGreaterThan(0.9);
    expect(told?.[3]).toBeLessThan(0.3);
  });

  it('answers a question before the documents that wait', async () => {
    const embedder = embedderOf(await modelFolder());
    await embedder.embed(['cat'], document);
    const order: string[] = [];
    const long = Array.from({ length: 400 }, () => 'cat car bread');
    const documents = [1, 2].map((n) => embedder.embed(long, document).then(() => order.push(`documents ${n}`)));
    const asked = embedder.embed(['car'], question).then(() => order.push('question'));
    await Promise.all([...documents, asked]);
    expect(order).toEqual(['question', 'documents 1', 'documents 2']);
  });

  it('is given up when it is late or the hub ends, and goes on afterwards', async () => {
    const embedder = embedderOf(await modelFolder());
    const late = embedder.embed(['cat'], { timeoutMs: 1, as: 'question' });
    await expect(late).rejects.toMatchObject({ code: 'EMBEDDER_FAILED', message: /in time/ });
    expect(await embedder.embed(['cat'], question)).toHaveLength(1);
    const ended = expect(embedder.embed(['cat'], document)).rejects.toMatchObject({ message: /the hub ends/ });
    await embedder.close?.();
    await ended;
    expect(await embedder.embed(['cat'], question)).toHaveLength(1);
  });

  it.each<[string, TinyOptions, RegExp]>([
    ['no graph', { files: { 'onnx/model.onnx': undefined } }, /holds none of onnx\/model\.onnx/],
    ['a graph that is none', { files: { 'onnx/model.onnx': 'hello' } }, /protobuf|parse|load/i],
    ['no tokenizer', { files: { 'tokenizer.json': undefined } }, /tokenizer\.json cannot be read/],
    ['a tokenizer that is none', { files: { 'tokenizer.json': '{' } }, /tokenizer\.json is no JSON object/],
    [
      'a pooling nobody knows',
      { files: { '1_Pooling/config.json': { pooling_mode_lasttoken: true } } },
      /pooling_mode_lasttoken/,
    ],
    ['an input nobody knows', { inputs: ['input_ids', 'pixel_values'] }, /pixel_values/],
  ])('with %s is a coded error, and is opened once it is mended', async (_what, options, why) => {
    const folder = await modelFolder(options);
    const embedder = embedderOf(folder);
    const call = embedder.embed(['cat'], document);
    await expect(call).rejects.toMatchObject({ code: 'EMBEDDER_FAILED', message: expect.stringMatching(why) });
    await rm(folder, { recursive: true });
    await writeTinyModel(folder);
    expect(await embedder.embed(['cat'], document)).toHaveLength(1);
  });

  it('says which text it knows nothing of', async () => {
    const embedder = embedderOf(await modelFolder({ files: { 'tokenizer_config.json': {} } }));
    const call = embedder.embed([' '], document);
    await expect(call).rejects.toMatchObject({ code: 'EMBEDDER_FAILED', message: /no word that the model knows/ });
  });

  it('needs a runtime, and says where it looked', async () => {
    const empty = join(base, 'no runtime');
    await mkdir(empty);
    const folder = await modelFolder();
    await expect(embedderOf(folder, empty).embed(['cat'], document)).rejects.toMatchObject({
      code: 'EMBEDDER_FAILED',
      message: /package\.json cannot be read/,
    });
    await writeFile(join(empty, 'package.json'), '{"name":"left-pad","main":"./i.js"}');
    await writeFile(join(empty, 'i.js'), '');
    await expect(embedderOf(folder, empty).embed(['cat'], document)).rejects.toMatchObject({ code: 'EMBEDDER_FAILED' });
    const unset = onnxEmbedder({ folder, thread });
    await expect(unset.embed(['cat'], document)).rejects.toMatchObject({
      code: 'EMBEDDER_FAILED',
      message: /neither onnxruntime-node nor onnxruntime-web/,
    });
  });
});

here('a hub with a model', () => {
  it.each<[string, TinyOptions]>([
    ['finds by meaning what shares no word', {}],
    ['goes on by itself while the folder is broken, and says so', { files: { 'onnx/model.onnx': undefined } }],
  ])('%s', async (_what, options) => {
    const t = await startTestHub('sqlite');
    const folder = await modelFolder(options);
    t.hub.config.embeddings = { folder, runtime, thread };
    const search = (search_query: string) => t.call('search', { as: reader, body: { search_query, limit: 4 } });
    try {
      for (let i = 0; i < 12; i++) {
        const [a, b] = CONCEPTS[i % 3] ?? [];
        const files = { 'commands/go.md': '---\ndescription: go\n---\n' };
        await t.register(pack(`plugin-${i}`, '1.0.0', { manifest: { description: `${a} ${b} number${i}` }, files }));
        await t.call('publish', { as: operator, body: { plugin_id: `plugin_plugin-${i}_1.0.0`, all: true } });
      }
      expect((await search('automobile')).backend).toBe('embedded');
      await discoveryOf(t.hub).settled();
      const found = await search('automobile');
      if (options.files !== undefined) {
        expect(found).toMatchObject({ backend: 'embedded', note: expect.stringMatching(/holds none of/) });
        expect((await search('number7')).results[0]?.name).toBe('plugin-7');
        return;
      }
      expect(found).toMatchObject({ backend: 'onnx' });
      expect(found.results.map((r) => Number(r.name.split('-')[1]) % 3)).toEqual([1, 1, 1, 1]);
    } finally {
      await closeDiscovery(t.hub.store);
      await t.drop();
    }
  });
});
