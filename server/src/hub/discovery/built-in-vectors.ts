import type { Bag } from './bag.ts';
import { VectorIndex } from './vector-index.ts';
import { fitVectorModel, type VectorModel } from './vector-model.ts';

/** Vectors computed between two yields. */
const SLICE = 32;

/**
 * The vectors that the hub computes by itself. Changes are folded into the model at hand at once; `refit` makes a new
 * model of all documents beside the old one and swaps.
 */
export class BuiltInVectors {
  readonly #bags = new Map<string, Bag>();
  #model: VectorModel | undefined;
  #vectors: VectorIndex | undefined;
  /** Names that changed since the running refit read the bags. */
  #touched: Set<string> | undefined;
  #changes = 0;

  /** Names the model that all vectors come from; undefined while there is none. */
  get id(): string | undefined {
    return this.#model?.id;
  }

  get vectors(): VectorIndex | undefined {
    return this.#vectors;
  }

  /** Whether documents changed since the model was computed: at rest, model and vectors are those of a fresh start. */
  get due(): boolean {
    return this.#changes > 0;
  }

  put(name: string, bag: Bag): void {
    this.#bags.set(name, bag);
    this.#changed(name, this.#model?.embed(bag));
  }

  remove(name: string): void {
    if (this.#bags.delete(name)) this.#changed(name, undefined);
  }

  embed(bag: Bag): Float32Array | undefined {
    return this.#model?.embed(bag);
  }

  /** The `count` documents nearest to the bag, with their cosines. */
  nearest(bag: Bag, count: number): Map<string, number> {
    const vector = this.embed(bag);
    return vector === undefined || this.#vectors === undefined ? new Map() : this.#vectors.nearest(vector, count);
  }

  /** Computes a new model and all vectors; a generator, so that others are served meanwhile. One at a time. */
  *refit(): Generator<void, void> {
    const bags = new Map(this.#bags);
    const touched = new Set<string>();
    this.#touched = touched;
    const before = this.#changes;
    const model = yield* fitVectorModel(bags);
    const vectors = model === undefined ? undefined : new VectorIndex(model.dimensions);
    let done = 0;
    for (const [name, bag] of bags) {
      vectors?.set(name, model?.embed(bag));
      if (++done % SLICE === 0) yield;
    }
    for (const name of touched) {
      const bag = this.#bags.get(name);
      vectors?.set(name, bag === undefined ? undefined : model?.embed(bag));
    }
    this.#model = model;
    this.#vectors = vectors;
    this.#touched = undefined;
    this.#changes -= before;
  }

  #changed(name: string, vector: Float32Array | undefined): void {
    this.#vectors?.set(name, vector);
    this.#touched?.add(name);
    this.#changes++;
  }
}
