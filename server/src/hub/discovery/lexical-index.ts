import { type Analysis, isPair } from './analysis.ts';
import { FIELDS } from './document.ts';
import { MAX_SLOTS, Postings } from './postings.ts';
import { type Mistyped, nearestFirst, shortestFirst, Vocabulary } from './vocabulary.ts';

/** How fields count: weight, and how strongly a long field is discounted (0 not at all, 1 in full). */
export interface FieldRule {
  weight: number;
  lengthDiscount: number;
}

export interface LexicalRules {
  fields: readonly FieldRule[];
  /** BM25's k1: how soon more of the same word stops counting. */
  saturation: number;
}

/**
 * BM25F over weighted fields. What it answers depends on the documents it holds, not on the order they came in. With a `base` it
 * answers as if the base's documents were its own, and the base knows nothing of that; a name in both is answered from here.
 */
export class LexicalIndex {
  /** The single words among the terms. */
  readonly #vocabulary = new Vocabulary();
  readonly #rules: LexicalRules;
  readonly #base: LexicalIndex | undefined;
  readonly #postings = new Postings();
  readonly #slots = new Map<string, number>();
  readonly #names: (string | undefined)[] = [];
  readonly #termsOf: (readonly string[])[] = [];
  readonly #lengths: number[][] = FIELDS.map(() => []);
  readonly #totals: number[] = FIELDS.map(() => 0);
  readonly #free: number[] = [];
  /** Computed when next asked for after a change. */
  #worth: Worth | undefined;
  #changes = 0;

  constructor(rules: LexicalRules, base?: LexicalIndex) {
    this.#rules = rules;
    this.#base = base;
  }

  /** Number of documents. */
  get size(): number {
    return this.#slots.size + (this.#base?.size ?? 0);
  }

  /** One more than the highest slot ever used: the length that arrays by slot need. The base's slots come first. */
  get slots(): number {
    return this.#offset + this.#names.length;
  }

  /** Another number after every change. */
  get revision(): number {
    return this.#changes + (this.#base?.revision ?? 0);
  }

  slotOf(name: string): number | undefined {
    const own = this.#slots.get(name);
    return own === undefined ? this.#base?.slotOf(name) : own + this.#offset;
  }

  nameAt(slot: number): string | undefined {
    if (slot >= this.#offset) return this.#names[slot - this.#offset];
    const name = this.#base?.nameAt(slot);
    return name !== undefined && this.#slots.has(name) ? undefined : name;
  }

  documentsWith(term: string): number {
    return this.#postings.documents(term) + (this.#base?.documentsWith(term) ?? 0);
  }

  /** Whether a document whose slot passes holds the term. */
  holds(term: string, passes: (slot: number) => boolean): boolean {
    const offset = this.#offset;
    return this.#postings.some(term, (slot) => passes(slot + offset)) || this.#base?.holds(term, passes) === true;
  }

  /** Single words like a mistyped one, nearest first (Vocabulary.near). */
  near(term: string): Mistyped[] {
    const own = this.#vocabulary.near(term);
    if (this.#base === undefined) return own;
    const all = new Map([...own, ...this.#base.near(term)].map((found) => [found.term, found]));
    return [...all.values()].sort(nearestFirst);
  }

  /** Single words that begin so, shortest first (Vocabulary.startingWith). */
  startingWith(prefix: string): string[] {
    const own = this.#vocabulary.startingWith(prefix);
    if (this.#base === undefined) return own;
    const all = new Set([...own, ...this.#base.startingWith(prefix)]);
    return [...all].sort(shortestFirst);
  }

  /** How telling a term is that so many documents hold; a term of no document counts as the rarest. */
  rarity(term: string): number {
    const n = this.documentsWith(term);
    return Math.log(1 + (this.size - n + 0.5) / (n + 0.5));
  }

  /**
   * Adds the document, or replaces the one of its name.
   * @throws RangeError past 1,048,576 documents
   */
  upsert({ name, counts, lengths }: Analysis): void {
    this.remove(name);
    const slot = this.#free.pop() ?? this.#names.length;
    if (slot >= MAX_SLOTS) throw new RangeError(`The search index holds at most ${MAX_SLOTS} plugins`);
    for (const [term, row] of counts) {
      if (!isPair(term) && !this.#postings.has(term)) this.#vocabulary.add(term);
      this.#postings.add(term, slot, row);
    }
    this.#setLengths(slot, lengths);
    this.#names[slot] = name;
    this.#slots.set(name, slot);
    this.#termsOf[slot] = [...counts.keys()];
  }

  /** Takes the document of this name out, where there is one. */
  remove(name: string): void {
    const slot = this.#slots.get(name);
    if (slot === undefined) return;
    for (const term of this.#termsOf[slot] ?? []) {
      if (this.#postings.remove(term, slot) && !isPair(term)) this.#vocabulary.remove(term);
    }
    this.#setLengths(slot, []);
    this.#termsOf[slot] = [];
    this.#names[slot] = undefined;
    this.#slots.delete(name);
    this.#free.push(slot);
  }

  /**
   * Raises `into` by slot to `worth` × how much of the term a document has (0 to 1, by fields, lengths and saturation);
   * slots that were 0 are noted in `touched` from `at` on. Answers the new end of `touched`.
   */
  score(term: string, worth: number, into: Float64Array, touched: Int32Array, at: number): number {
    const { saturation } = this.#rules;
    const { own, base } = this.#worths();
    if (this.#base === undefined) return this.#postings.score(term, worth, saturation, own, into, touched, at);
    const from = this.#base.#postings.score(term, worth, saturation, base, into, touched, at);
    const end = this.#postings.score(term, worth, saturation, own, into.subarray(this.#offset), touched, from);
    for (let i = from; i < end; i++) touched[i] = (touched[i] as number) + this.#offset;
    return end;
  }

  /** By slot the fields, as bits in the order of FIELDS, in which it holds any of the terms of each list. */
  fieldsHolding(lists: readonly (readonly string[])[], slots: readonly number[]): number[][] {
    return lists.map((terms) => {
      const masks = slots.map(() => 0);
      this.#mark(terms, slots, masks);
      return masks;
    });
  }

  get #offset(): number {
    return this.#base?.slots ?? 0;
  }

  #mark(terms: readonly string[], slots: readonly number[], masks: number[]): void {
    if (this.#base !== undefined) this.#base.#mark(terms, slots, masks);
    const own = slots.map((slot) => slot - this.#offset);
    for (const term of terms) this.#postings.mark(term, own, masks);
  }

  #setLengths(slot: number, lengths: readonly number[]): void {
    for (let field = 0; field < FIELDS.length; field++) {
      const list = this.#lengths[field] as number[];
      const length = lengths[field] ?? 0;
      this.#totals[field] = (this.#totals[field] as number) - (list[slot] ?? 0) + length;
      list[slot] = length;
    }
    this.#changes++;
  }

  #worths(): Worth {
    const of = this.revision;
    if (this.#worth?.of !== of) {
      const averages = this.#totals.map((_, field) => this.#total(field) / Math.max(1, this.size) || 1);
      const base = this.#base === undefined ? [] : this.#base.#worthBy(averages);
      this.#worth = { of, own: this.#worthBy(averages), base };
    }
    return this.#worth;
  }

  #total(field: number): number {
    const own = this.#totals[field] as number;
    return this.#base === undefined ? own : own + this.#base.#total(field);
  }

  #worthBy(averages: readonly number[]): Float32Array[] {
    return this.#rules.fields.map(({ weight, lengthDiscount }, field) => {
      const average = averages[field] as number;
      const lengths = this.#lengths[field] as number[];
      const worth = new Float32Array(lengths.length);
      for (let slot = 0; slot < worth.length; slot++) {
        worth[slot] = weight / (1 - lengthDiscount + (lengthDiscount * (lengths[slot] as number)) / average);
      }
      return worth;
    });
  }
}

/** What one occurrence is worth by field and slot, as of a revision. */
interface Worth {
  of: number;
  own: Float32Array[];
  base: Float32Array[];
}
