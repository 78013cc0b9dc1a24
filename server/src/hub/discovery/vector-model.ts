import { createHash } from 'node:crypto';
import type { Bag } from './bag.ts';
import { decompose, type SparseRows } from './subspace.ts';

/**
 * Latent semantic analysis of the registry's own texts: words that keep the same company get similar vectors, so a
 * question finds a plugin that says the same in other words. The same documents make the same model.
 */
export interface VectorModel {
  /** Names the method and the documents it was computed from. */
  id: string;
  dimensions: number;
  /** The unit vector of a bag; undefined when it has no word the model knows. */
  embed(bag: Bag): Float32Array | undefined;
}

const METHOD = 'lsa-2';
/** One dimension for so many documents: more would tell single documents apart instead of subjects. */
const DOCUMENTS_PER_DIMENSION = 8;
/** Twice as many find no more of what was asked, and take twice the time and memory. */
const MAX_DIMENSIONS = 64;
const MIN_DIMENSIONS = 4;
/** Fewer documents have no company to keep. */
const MIN_DOCUMENTS = 8;
/** Exponent of the singular values: 0 makes all directions equal, 1 lets the strongest rule. */
const DIRECTION_POWER = 0.5;

/**
 * Computes a model from named bags; undefined when they are too few to say anything. A generator, so that the hub can
 * serve others meanwhile.
 */
export function* fitVectorModel(bags: ReadonlyMap<string, Bag>): Generator<void, VectorModel | undefined> {
  if (bags.size < MIN_DOCUMENTS) return undefined;
  const named = [...bags].sort(([a], [b]) => (a < b ? -1 : 1));
  yield;
  const columns = columnsOf(named, yield* countDocuments(named));
  yield;
  const hash = createHash('sha256').update(METHOD);
  const rows = yield* weighted(named, columns, hash);
  if (rows.width < MIN_DOCUMENTS) return undefined;
  const wanted = Math.round(named.length / DOCUMENTS_PER_DIMENSION);
  const dimensions = Math.min(MAX_DIMENSIONS, Math.max(MIN_DIMENSIONS, wanted));
  const { right, singular, rank } = yield* decompose(rows, dimensions);
  const scale = Float64Array.from(singular, (s) => (s / (singular[0] as number)) ** DIRECTION_POWER);
  for (const { at, rarity } of columns.values()) {
    if (at % 512 === 0) yield;
    for (let k = 0; k < rank; k++)
      right[at * rank + k] = (right[at * rank + k] as number) * (scale[k] as number) * rarity;
  }
  return {
    id: `${METHOD}:${hash.digest('hex').slice(0, 16)}`,
    dimensions: rank,
    embed: (bag) => embed(bag, columns, right, rank),
  };
}

interface Column {
  at: number;
  rarity: number;
}

function* countDocuments(named: readonly [string, Bag][]): Generator<void, Map<string, number>> {
  const documents = new Map<string, number>();
  for (const [i, [, bag]] of named.entries()) {
    if (i % 64 === 0) yield;
    for (const term of bag.terms) documents.set(term, (documents.get(term) ?? 0) + 1);
  }
  return documents;
}

/** Words of a single document keep no company: they stay out. */
function columnsOf(named: readonly unknown[], documents: ReadonlyMap<string, number>): Map<string, Column> {
  const columns = new Map<string, Column>();
  for (const [term, n] of documents) {
    if (n >= 2) columns.set(term, { at: columns.size, rarity: Math.log(1 + (named.length - n + 0.5) / (n + 0.5)) });
  }
  return columns;
}

function* weighted(
  named: readonly [string, Bag][],
  columns: ReadonlyMap<string, Column>,
  hash: { update(text: string): unknown },
): Generator<void, SparseRows> {
  const starts = new Int32Array(named.length + 1);
  const at: number[] = [];
  const values: number[] = [];
  for (const [i, [name, bag]] of named.entries()) {
    if (i % 32 === 0) yield;
    hash.update(`${name}\0${bag.terms.join(' ')}\0${bag.weights.join(' ')}\n`);
    const first = values.length;
    let square = 0;
    bag.terms.forEach((term, j) => {
      const column = columns.get(term);
      if (column === undefined) return;
      const value = (bag.weights[j] as number) * column.rarity;
      at.push(column.at);
      values.push(value);
      square += value * value;
    });
    for (let j = first; j < values.length; j++) values[j] = (values[j] as number) / Math.sqrt(square);
    starts[i + 1] = values.length;
  }
  yield;
  const packed = new Int32Array(at);
  yield;
  return { starts, columns: packed, values: new Float32Array(values), width: columns.size };
}

function embed(
  bag: Bag,
  columns: ReadonlyMap<string, Column>,
  right: Float32Array,
  rank: number,
): Float32Array | undefined {
  const vector = new Float32Array(rank);
  bag.terms.forEach((term, i) => {
    const column = columns.get(term);
    if (column === undefined) return;
    const weight = bag.weights[i] as number;
    const from = column.at * rank;
    for (let k = 0; k < rank; k++) vector[k] = (vector[k] as number) + weight * (right[from + k] as number);
  });
  let square = 0;
  for (const value of vector) square += value * value;
  if (square < 1e-12) return undefined;
  const length = Math.sqrt(square);
  return vector.map((value) => value / length);
}
