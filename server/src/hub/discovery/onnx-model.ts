import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { errnoOf } from '../../domain/errors.ts';
import { unitOf } from './unit-vector.ts';

/** A sentence encoder in ONNX format, as people publish them: tokenizer.json, the graph, and how its output is pooled. */
export interface OnnxModel {
  /** Names what makes the vectors: graph and tokenizer, by their contents. */
  id: string;
  /** The unit vector of a text, which is cut at what the model takes. */
  embed(text: string, as: 'question' | 'document'): Promise<Float32Array>;
}

/** What the packages onnxruntime-node and onnxruntime-web have in common, as far as it is used here. */
interface Runtime {
  env?: { wasm?: { numThreads?: number } };
  InferenceSession: { create(file: string): Promise<Session> };
  Tensor: new (type: 'int64', data: BigInt64Array, dims: number[]) => unknown;
}
interface Session {
  inputNames: readonly string[];
  outputNames: readonly string[];
  run(feeds: Record<string, unknown>): Promise<Record<string, { data: Float32Array; dims: readonly number[] }>>;
}

const GRAPHS = ['onnx/model.onnx', 'model.onnx', 'onnx/model_quantized.onnx', 'model_quantized.onnx'];
/** Longer texts cost more than they tell: a plugin says early what it is for. */
const MAX_TOKENS = 256;
const VECTORS = ['sentence_embedding', 'last_hidden_state', 'token_embeddings'];

/**
 * Loads a model from its folder with the runtime in another.
 * @param runtime folder of the package `onnxruntime-node` or `onnxruntime-web`
 * @throws Error in words for the operator: what is missing or cannot be used
 */
export async function openOnnxModel(folder: string, runtime: string): Promise<OnnxModel> {
  const graph = await firstThere(folder, GRAPHS);
  const settings = await readSettings(folder);
  const tokenizer = new Tokenizer(await readJson(folder, 'tokenizer.json'), settings.tokenizer);
  const ort = await loadRuntime(runtime);
  const session = await ort.InferenceSession.create(graph);
  const output = VECTORS.find((name) => session.outputNames.includes(name)) ?? session.outputNames[0];
  if (output === undefined) throw new Error('the model has no output');
  const id = `onnx:${await digestOf([graph, join(folder, 'tokenizer.json')])}`;
  const feedsOf = feeder(ort, session.inputNames);
  return {
    id,
    async embed(text, as) {
      const ids = cut(tokenizer.encode(`${settings.prompts[as]}${text}`).ids, settings.maxTokens);
      const { data, dims } = (await session.run(feedsOf(ids)))[output] ?? { data: new Float32Array(0), dims: [] };
      const vector = unitOf(dims.length === 3 ? pooled(data, dims, settings.pooling) : Float32Array.from(data));
      if (vector === undefined) throw new Error('a vector of the model has no direction');
      return vector;
    },
  };
}

async function firstThere(folder: string, names: readonly string[]): Promise<string> {
  for (const name of names) {
    const file = join(folder, name);
    if ((await stat(file).catch(() => undefined))?.isFile() === true) return file;
  }
  throw new Error(`${folder} holds none of ${names.join(', ')}`);
}

async function loadRuntime(folder: string): Promise<Runtime> {
  const { name } = await readJson(folder, 'package.json');
  // A package finds itself by its own name, through its own exports.
  const runtime = createRequire(join(folder, 'package.json'))(String(name)) as Runtime;
  if (runtime.InferenceSession === undefined) throw new Error(`${folder} is no ONNX runtime`);
  // This is a thread already: threads of its own would take the hub's processors.
  if (runtime.env?.wasm !== undefined) runtime.env.wasm.numThreads = 1;
  return runtime;
}

interface Settings {
  tokenizer: Record<string, unknown>;
  maxTokens: number;
  pooling: 'mean' | 'first';
  /** What the model was trained to see before a text. */
  prompts: Record<'question' | 'document', string>;
}

async function readSettings(folder: string): Promise<Settings> {
  const tokenizer = await readJson(folder, 'tokenizer_config.json', {});
  const sentence = await readJson(folder, 'sentence_bert_config.json', {});
  const pooling = await readJson(folder, '1_Pooling/config.json', {});
  const { prompts } = (await readJson(folder, 'config_sentence_transformers.json', {})) as {
    prompts?: Record<string, unknown>;
  };
  const lengths = [MAX_TOKENS, tokenizer.model_max_length, sentence.max_seq_length];
  const mode = Object.keys(pooling).find((key) => key.startsWith('pooling_mode_') && pooling[key] === true);
  if (mode !== undefined && mode !== 'pooling_mode_mean_tokens' && mode !== 'pooling_mode_cls_token') {
    throw new Error(`the model pools by ${mode}, which is not known here`);
  }
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  return {
    tokenizer,
    maxTokens: Math.min(...lengths.filter((n): n is number => typeof n === 'number' && n >= 2)),
    pooling: mode === 'pooling_mode_cls_token' ? 'first' : 'mean',
    prompts: { question: text(prompts?.query), document: text(prompts?.document ?? prompts?.passage) },
  };
}

/** @throws Error when it is no JSON object, or is absent and has no `otherwise` */
async function readJson(
  folder: string,
  name: string,
  otherwise?: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const file = join(folder, name);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (otherwise !== undefined && errnoOf(cause) === 'ENOENT') return otherwise;
    throw new Error(`${file} cannot be read`, { cause });
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Told of below.
  }
  throw new Error(`${file} is no JSON object`);
}

async function digestOf(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files) for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex').slice(0, 16);
}

/** The last token is a mark of its own in most models: it stays. Words that a vocabulary does not know have no number. */
function cut(ids: readonly (number | undefined)[], max: number): number[] {
  const known = ids.filter((id): id is number => id !== undefined);
  if (known.length === 0) throw new Error('the text has no word that the model knows');
  return known.length <= max ? known : [...known.slice(0, max - 1), known.at(-1) as number];
}

/** Feeds of one text, by what the graph asks for. */
function feeder(ort: Runtime, names: readonly string[]): (ids: readonly number[]) => Record<string, unknown> {
  const values: Record<string, (id: number, at: number) => number> = {
    input_ids: (id) => id,
    attention_mask: () => 1,
    token_type_ids: () => 0,
    position_ids: (_id, at) => at,
  };
  const strange = names.find((name) => !Object.hasOwn(values, name));
  if (strange !== undefined) throw new Error(`the model asks for ${strange}, which is not known here`);
  return (ids) =>
    Object.fromEntries(
      names.map((name) => {
        const data = BigInt64Array.from(ids, (id, at) =>
          BigInt((values[name] as (id: number, at: number) => number)(id, at)),
        );
        return [name, new ort.Tensor('int64', data, [1, ids.length])];
      }),
    );
}

/** One vector of one text's tokens. */
function pooled(data: Float32Array, dims: readonly number[], by: Settings['pooling']): Float32Array {
  const [, tokens = 0, wide = 0] = dims;
  const sum = data.slice(0, wide);
  if (by === 'first') return sum;
  for (let token = 1; token < tokens; token++) {
    for (let k = 0; k < wide; k++) sum[k] = (sum[k] as number) + (data[token * wide + k] as number);
  }
  return sum;
}
