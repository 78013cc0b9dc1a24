import { setImmediate } from 'node:timers/promises';
import type { HaiveError } from '../../domain/errors.ts';
import type { SearchDocument } from './document.ts';
import { type Embedder, failed } from './embedder.ts';
import { NOISE_QUESTIONS } from './noise-questions.ts';
import { VectorIndex } from './vector-index.ts';

/** How long one call may take, in ms. */
const BATCH_MS = 60_000;
/** A search waits no longer for the question's vector. */
const QUESTION_MS = 1_000;

/**
 * The vectors of an embedder outside this thread. They serve once every document has one; until then, and while the
 * embedder does not answer, the hub's own do.
 */
export class ModelVectors {
  readonly #embedder: Embedder;
  readonly #texts = new Map<string, string>();
  /** Names whose vector is missing or of an older text. */
  readonly #pending = new Set<string>();
  #vectors: VectorIndex | undefined;
  /** The model's vectors of questions that nothing answers, and how near the nearest document is to the middle one of them. */
  #unrelated: readonly Float32Array[] | undefined;
  #noise = 0;

  constructor(embedder: Embedder) {
    this.#embedder = embedder;
  }

  get kind(): Embedder['kind'] {
    return this.#embedder.kind;
  }

  /** Undefined until there are vectors. */
  get id(): string | undefined {
    return this.#vectors === undefined ? undefined : `${this.#embedder.id}:${this.#vectors.dimensions}`;
  }

  get vectors(): VectorIndex | undefined {
    return this.#vectors;
  }

  /** The cosine that says nothing: so near is the nearest plugin to a question that none answers. */
  get noise(): number {
    return this.#noise;
  }

  /** Whether something waits for its vectors. */
  get due(): boolean {
    return this.#pending.size > 0 || (this.#vectors !== undefined && this.#unrelated === undefined);
  }

  /** Whether so few vectors are missing that the others may serve. */
  get ready(): boolean {
    return this.#unrelated !== undefined && this.#pending.size * 10 <= this.#texts.size;
  }

  put(document: SearchDocument): void {
    const text = textOf(document);
    if (this.#texts.get(document.name) === text) return;
    this.#texts.set(document.name, text);
    this.#pending.add(document.name);
  }

  remove(name: string): void {
    this.#texts.delete(name);
    this.#pending.delete(name);
    this.#vectors?.set(name, undefined);
  }

  /**
   * Fetches the vectors that are missing; all of them anew where the embedder has other dimensions than before, for then its model
   * is another one. @throws HaiveError EMBEDDER_FAILED; what came so far stays
   */
  async renew(signal: AbortSignal): Promise<void> {
    let anew = false;
    while (this.#pending.size > 0 && !signal.aborted) {
      const names = [...this.#pending].slice(0, this.#embedder.batch);
      const texts = names.map((name) => this.#texts.get(name) ?? '');
      const vectors = await this.#embedder.embed(texts, { timeoutMs: BATCH_MS, signal, as: 'document' });
      const dimensions = vectors[0]?.length ?? 0;
      if (this.#differs(dimensions)) {
        // Two models behind one address would be asked for all texts for ever.
        if (anew) throw this.#otherModel(dimensions);
        anew = true;
        this.#vectors = undefined;
        this.#unrelated = undefined;
        for (const name of this.#texts.keys()) this.#pending.add(name);
      }
      names.forEach((name, i) => {
        const vector = vectors[i] as Float32Array;
        this.#vectors ??= new VectorIndex(vector.length);
        // It may have changed or gone while the embedder worked.
        if (this.#texts.get(name) !== texts[i]) return;
        this.#vectors.set(name, vector);
        this.#pending.delete(name);
      });
    }
    await this.#measureNoise(signal);
  }

  async #measureNoise(signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#vectors === undefined) return;
    this.#unrelated ??= await this.#embedUnrelated(signal);
    const nearest: number[] = [];
    for (const vector of this.#unrelated) {
      for (const cosine of this.#vectors.nearest(vector, 1).values()) nearest.push(cosine);
      await setImmediate();
    }
    nearest.sort((a, b) => a - b);
    // Of a registry for roses, half of these are about other things.
    this.#noise = nearest[nearest.length >> 1] ?? 0;
  }

  async #embedUnrelated(signal: AbortSignal): Promise<Float32Array[]> {
    const vectors: Float32Array[] = [];
    while (vectors.length < NOISE_QUESTIONS.length) {
      const texts = NOISE_QUESTIONS.slice(vectors.length, vectors.length + this.#embedder.batch);
      const some = await this.#embedder.embed(texts, { timeoutMs: BATCH_MS, signal, as: 'question' });
      this.#compare(some[0]?.length ?? 0);
      vectors.push(...some);
    }
    return vectors;
  }

  async close(): Promise<void> {
    await this.#embedder.close?.();
  }

  /** @throws HaiveError EMBEDDER_FAILED */
  async embed(text: string, keywords: readonly string[]): Promise<Float32Array> {
    const [vector] = await this.#embedder.embed([[text, ...keywords].join(', ')], {
      timeoutMs: QUESTION_MS,
      as: 'question',
    });
    this.#compare((vector as Float32Array).length);
    return vector as Float32Array;
  }

  /** A question's vector of other dimensions: the next renewal tells by one document whether it was this answer alone. */
  #compare(dimensions: number): void {
    if (!this.#differs(dimensions)) return;
    for (const name of this.#texts.keys()) {
      this.#pending.add(name);
      break;
    }
    throw this.#otherModel(dimensions);
  }

  #differs(dimensions: number): boolean {
    return this.#vectors !== undefined && this.#vectors.dimensions !== dimensions;
  }

  #otherModel(dimensions: number): HaiveError {
    return failed(
      `it answers ${dimensions} dimensions where it answered ${this.#vectors?.dimensions} before; all vectors are made anew if it stays so`,
    );
  }
}

/** What a document says of itself, the telling parts first. */
function textOf({ name, description, keywords, useCases, components, body }: SearchDocument): string {
  const parts = components.map((c) => `${c.name.replaceAll('-', ' ')}: ${c.description}`);
  return [name.replaceAll('-', ' '), description, [...useCases, ...keywords].join(', '), ...parts, body]
    .filter((part) => part !== '')
    .join('\n');
}
