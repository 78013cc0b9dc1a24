import { type Analysis, isPair } from './analysis.ts';
import { FIELDS } from './document.ts';
import { MAX_SLOTS, Postings } from './postings.ts';
import { Vocabulary } from './vocabulary.ts';

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

/** BM25F over weighted fields. What it answers depends on the documents it holds, not on the order they came in. */
export class LexicalIndex {
  /** The single words among the terms. */
  readonly vocabulary = new Vocabulary();
  readonly #rules: LexicalRules;
  readonly #postings = new Postings();
  readonly #slots = new Map<string, number>();
  readonly #names: (string | undefined)[] = [];
  readonly #termsOf: (readonly string[])[] = [];
  readonly #lengths: number[][] = FIELDS.map(() => []);
  readonly #totals: number[] = FIELDS.map(() => 0);
  readonly #free: number[] = [];
  /** What one occurrence is worth by field and slot; computed when next asked for after a change. */
  #worth: Float32Array[] | undefined;

  constructor(rules: LexicalRules) {
    this.#rules = rules;
  }

  /** Number of documents. */
  get size(): number {
    return this.#slots.size;
  }

  /** One more than the highest slot ever used: the length that arrays by slot need. */
  get slots(): number {
    return this.#names.length;
  }

  slotOf(name: string): number | undefined {
    return this.#slots.get(name);
  }

  nameAt(slot: number): string | undefined {
    return this.#names[slot];
  }

  documentsWith(term: string): number {
    return this.#postings.documents(term);
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
      if (!isPair(term) && !this.#postings.has(term)) this.vocabulary.add(term);
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
      if (this.#postings.remove(term, slot) && !isPair(term)) this.vocabulary.remove(term);
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
    this.#worth ??= this.#computeWorth();
    return this.#postings.score(term, worth, this.#rules.saturation, this.#worth, into, touched, at);
  }

  /** By slot the fields, as bits in the order of FIELDS, in which it holds any of the terms of each list. */
  fieldsHolding(lists: readonly (readonly string[])[], slots: readonly number[]): number[][] {
    return lists.map((terms) => {
      const masks = slots.map(() => 0);
      for (const term of terms) this.#postings.mark(term, slots, masks);
      return masks;
    });
  }

  #setLengths(slot: number, lengths: readonly number[]): void {
    for (let field = 0; field < FIELDS.length; field++) {
      const list = this.#lengths[field] as number[];
      const length = lengths[field] ?? 0;
      this.#totals[field] = (this.#totals[field] as number) - (list[slot] ?? 0) + length;
      list[slot] = length;
    }
    this.#worth = undefined;
  }

  #computeWorth(): Float32Array[] {
    return this.#rules.fields.map(({ weight, lengthDiscount }, field) => {
      const average = (this.#totals[field] as number) / Math.max(1, this.size) || 1;
      const lengths = this.#lengths[field] as number[];
      const worth = new Float32Array(lengths.length);
      for (let slot = 0; slot < worth.length; slot++) {
        worth[slot] = weight / (1 - lengthDiscount + (lengthDiscount * (lengths[slot] as number)) / average);
      }
      return worth;
    });
  }
}
