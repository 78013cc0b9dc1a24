import { HaiveError } from '../../domain/errors.ts';
import { timeLimit } from '../../domain/time-limit.ts';
import { unitOf } from './unit-vector.ts';

/** Makes vectors of texts by a model that knows more than the registry's own texts. */
export interface Embedder {
  /** What answers of the search name it. */
  readonly kind: 'endpoint' | 'onnx';
  /** Names the model: vectors under another id cannot be compared with its own. Final once it has made a vector. */
  readonly id: string;
  /** So many texts are worth one call. */
  readonly batch: number;
  /** One vector a text, of unit length, all of as many dimensions. @throws HaiveError EMBEDDER_FAILED */
  embed(texts: readonly string[], options: EmbedOptions): Promise<Float32Array[]>;
  close?(): Promise<void>;
}

export interface EmbedOptions {
  timeoutMs: number;
  signal?: AbortSignal;
  /** A question goes before the documents that wait, and some models want to be told. */
  as: 'question' | 'document';
}

export interface EndpointOptions {
  /** Base address, to which `/embeddings` is added: `http://127.0.0.1:11434/v1`. */
  url: string;
  model: string;
  /** Sent as a bearer token. */
  key?: string | undefined;
}

/** A text is cut here: models take some hundred words, and a plugin says early what it is for. */
const MAX_CHARACTERS = 2_000;
const ENDPOINT_BATCH = 32;
const MAX_ANSWER = 64 * 1024 * 1024;

/** An OpenAI-compatible `/embeddings` endpoint: Ollama, Text Embeddings Inference, vLLM and others. */
export function endpointEmbedder({ url, model, key }: EndpointOptions): Embedder {
  return {
    kind: 'endpoint',
    id: `endpoint:${url}:${model}`,
    batch: ENDPOINT_BATCH,
    async embed(texts, { timeoutMs, signal }) {
      const answer = await post(
        `${url}/embeddings`,
        { model, input: texts.map((text) => text.slice(0, MAX_CHARACTERS)), encoding_format: 'float' },
        key,
        timeLimit(timeoutMs, signal),
      );
      return readVectors(answer, texts.length);
    },
  };
}

/** EMBEDDER_FAILED with its reason. */
export const failed = (why: string, cause?: unknown): HaiveError =>
  new HaiveError('EMBEDDER_FAILED', `The embedder is left out: ${why}`, { cause });

async function post(url: string, body: unknown, key: string | undefined, signal: AbortSignal): Promise<unknown> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method: 'POST',
      redirect: 'error',
      headers: { 'content-type': 'application/json', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
      body: JSON.stringify(body),
      signal,
    });
    text = await response.text();
  } catch (cause) {
    const late = cause instanceof Error && cause.name === 'TimeoutError';
    throw failed(late ? 'it does not answer in time' : 'it cannot be reached', cause);
  }
  if (!response.ok) throw failed(`it answers HTTP ${response.status}`);
  if (text.length > MAX_ANSWER) throw failed('its answer is too long');
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw failed('its answer is not JSON', cause);
  }
}

/** In the order of the texts, of unit length. */
function readVectors(answer: unknown, count: number): Float32Array[] {
  const data = (answer as { data?: unknown } | null)?.data;
  if (!Array.isArray(data) || data.length !== count)
    throw failed(`it answers not one vector for each of ${count} texts`);
  const vectors: (Float32Array | undefined)[] = Array.from({ length: count });
  data.forEach((row: { index?: unknown; embedding?: unknown } | null, i) => {
    const at = typeof row?.index === 'number' ? row.index : i;
    const { embedding } = row ?? {};
    if (!Array.isArray(embedding) || embedding.length === 0) throw failed('a vector of its answer is none');
    vectors[at] = unit(Float32Array.from(embedding as number[]));
  });
  return vectors.map((vector) => {
    if (vector === undefined) throw failed('its answer leaves a text out');
    if (vector.length !== vectors[0]?.length) throw failed('the vectors of its answer differ in their dimensions');
    return vector;
  });
}

function unit(vector: Float32Array): Float32Array {
  const scaled = unitOf(vector);
  if (scaled === undefined) throw failed('a vector of its answer has no direction');
  return scaled;
}
