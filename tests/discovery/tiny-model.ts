import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CONCEPTS } from './concepts.ts';

/** A sentence encoder of three concepts in a folder as people publish them: a table of word vectors as an ONNX graph. */

const WORDS = ['[UNK]', 'ask', 'tell', ...CONCEPTS.flat()];

/** By word: a direction for its concept; one that all share for any other. */
const rowOf = (word: string): number[] => [
  ...CONCEPTS.map((list) => (list.includes(word) ? 1 : 0)),
  word === 'ask' ? 5 : 0.1,
];

export interface TinyOptions {
  inputs?: string[];
  files?: Record<string, unknown>;
}

/** Writes the folder; `files` go beside or instead, `undefined` leaves one out, text is written as it is. */
export async function writeTinyModel(folder: string, { inputs, files = {} }: TinyOptions = {}): Promise<void> {
  const all: Record<string, unknown> = {
    'onnx/model.onnx': graph(inputs ?? ['input_ids', 'attention_mask', 'token_type_ids']),
    'tokenizer.json': {
      version: '1.0',
      added_tokens: [],
      normalizer: { type: 'Lowercase' },
      pre_tokenizer: { type: 'Whitespace' },
      post_processor: null,
      decoder: null,
      model: { type: 'WordLevel', vocab: Object.fromEntries(WORDS.map((word, i) => [word, i])), unk_token: '[UNK]' },
    },
    'tokenizer_config.json': { unk_token: '[UNK]', model_max_length: 8 },
    ...files,
  };
  await mkdir(join(folder, 'onnx'), { recursive: true });
  await mkdir(join(folder, '1_Pooling'), { recursive: true });
  for (const [name, content] of Object.entries(all)) {
    if (content === undefined) continue;
    const raw = typeof content === 'string' || Buffer.isBuffer(content);
    await writeFile(join(folder, name), raw ? content : JSON.stringify(content));
  }
}

/** onnx.proto's ModelProto: `last_hidden_state` = the rows of a table at `input_ids`. */
function graph(inputs: readonly string[]): Buffer {
  const rows = WORDS.map(rowOf);
  const wide = rows[0]?.length ?? 0;
  const [FLOAT, INT64] = [1, 7];
  const node = [
    text(1, 'table'),
    text(1, 'input_ids'),
    text(2, 'last_hidden_state'),
    text(3, 'look-up'),
    text(4, 'Gather'),
  ];
  const table = [number(1, rows.length), number(1, wide), number(2, FLOAT), text(8, 'table')];
  const body = [
    message(1, ...node),
    text(2, 'tiny'),
    message(5, ...table, field(9, Buffer.from(Float32Array.from(rows.flat()).buffer))),
    ...inputs.map((name) => value(11, name, INT64, ['batch', 'tokens'])),
    value(12, 'last_hidden_state', FLOAT, ['batch', 'tokens', wide]),
  ];
  return Buffer.concat([number(1, 8), message(7, ...body), message(8, text(1, ''), number(2, 13))]);
}

function value(at: number, name: string, type: number, dims: readonly (number | string)[]): Buffer {
  const shape = dims.map((d) => message(1, typeof d === 'number' ? number(1, d) : text(2, d)));
  return message(at, text(1, name), message(2, message(1, number(1, type), message(2, ...shape))));
}

const number = (at: number, n: number): Buffer => Buffer.concat([varint(at << 3), varint(n)]);
const text = (at: number, s: string): Buffer => field(at, Buffer.from(s));
const message = (at: number, ...parts: Buffer[]): Buffer => field(at, Buffer.concat(parts));

function field(at: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint((at << 3) | 2), varint(bytes.length), bytes]);
}

function varint(n: number): Buffer {
  const bytes: number[] = [];
  for (; n > 127; n >>>= 7) bytes.push((n & 127) | 128);
  return Buffer.from([...bytes, n]);
}
