import { analyse } from './analysis.ts';
import { type Bag, bagOf } from './bag.ts';
import type { SearchDocument } from './document.ts';
import { LexicalIndex } from './lexical-index.ts';
import { lexicalScores } from './lexical-scores.ts';
import { type Clause, questionBag, readQuestion } from './question.ts';
import { reasonFor } from './reason.ts';
import { SEARCH_RULES, type SearchRules } from './rules.ts';
import { TopList } from './top-list.ts';
import { words } from './words.ts';

export interface SearchRequest {
  text: string;
  /** Technical terms and synonyms from the caller. */
  keywords?: readonly string[];
  limit: number;
  /** Only these. */
  filter?: (name: string) => boolean;
  /** These after all others (deprecated plugins). */
  last?: (name: string) => boolean;
  /** Cosines of the plugins whose vectors lie nearest to the question. */
  nearest?: ReadonlyMap<string, number>;
  /** How much they count; the rules' `denseWeight` when absent. */
  denseWeight?: number;
}

export interface SearchHit {
  name: string;
  /** 0 to 1: how well the plugin fits, against one that says every word of the question in its name. */
  score: number;
  /** Which words of the question stand where. */
  reason: string;
}

export interface SearchAnswer {
  /** Best first. */
  hits: SearchHit[];
  /** Nothing fits well: the hits are the nearest there is. */
  weak: boolean;
}

/** Finds plugins by words, and by vectors that the caller looked up; knows nothing of where those come from. */
export class SearchIndex {
  readonly #rules: SearchRules;
  readonly #lexical: LexicalIndex;
  readonly #documents = new Map<string, SearchDocument>();
  readonly #byName = new Map<string, string>();
  /** What was asked last, read against the index as it is. */
  #last: { key: string; clauses: Clause[] } | undefined;

  constructor(rules: SearchRules = SEARCH_RULES) {
    this.#rules = rules;
    this.#lexical = new LexicalIndex(rules);
  }

  get size(): number {
    return this.#documents.size;
  }

  /** Adds the document, or replaces the one of its name; answers its words for vectors. */
  upsert(document: SearchDocument): Bag {
    this.remove(document.name);
    this.#last = undefined;
    const analysis = analyse(document);
    this.#lexical.upsert(analysis);
    this.#documents.set(document.name, document);
    this.#byName.set(spoken(document.name), document.name);
    return bagOf(analysis);
  }

  /** False when there is no document of this name. */
  remove(name: string): boolean {
    if (!this.#documents.delete(name)) return false;
    this.#last = undefined;
    this.#lexical.remove(name);
    if (this.#byName.get(spoken(name)) === name) this.#byName.delete(spoken(name));
    return true;
  }

  /** The question as a bag of known words, for the vectors to be looked up. */
  bag(text: string, keywords: readonly string[] = []): Bag {
    return questionBag(this.#read(text, keywords));
  }

  query(request: SearchRequest): SearchAnswer {
    const { text, keywords = [], limit, filter, last, nearest = new Map() } = request;
    const clauses = this.#read(text, keywords);
    const { weakBelow } = this.#rules;
    const { denseWeight = this.#rules.denseWeight } = request;
    const { scores, best, ideal } = lexicalScores(this.#lexical, clauses);
    const dense = this.#dense(nearest, denseWeight);
    const exact = this.#exact(text);
    const strength = ideal === 0 ? 0 : Math.min(1, best / ideal);
    const scale = strength / (1 + (nearest.size > 0 ? denseWeight : 0));
    const top = new TopList(limit);
    for (let slot = 0; slot < scores.length; slot++) {
      const mixed = (best === 0 ? 0 : (scores[slot] as number) / best) + (dense?.[slot] ?? 0);
      const fits = (scores[slot] as number) > 0 || mixed >= PADDING;
      const name = fits ? this.#lexical.nameAt(slot) : undefined;
      if (name === undefined || name === exact || !top.takes(mixed)) continue;
      if (filter?.(name) === false) continue;
      top.add(name, mixed, last?.(name) === true);
    }
    const hits = this.#explained(top.sorted(), scale, clauses);
    const named = exact !== undefined && filter?.(exact) !== false;
    if (named) hits.unshift({ name: exact, score: 1, reason: 'the name itself' });
    return { hits: hits.slice(0, limit), weak: !named && strength < weakBelow };
  }

  #read(text: string, keywords: readonly string[]): Clause[] {
    const key = [text, ...keywords].join('\n');
    // The same question is read for its vectors and then for its words.
    if (this.#last?.key !== key) {
      this.#last = { key, clauses: readQuestion(this.#lexical, text, keywords, this.#rules) };
    }
    return this.#last.clauses;
  }

  /** What nearness adds, by slot: the nearest gets the full weight. */
  #dense(nearest: ReadonlyMap<string, number>, weight: number): Float64Array | undefined {
    const most = Math.max(0, ...nearest.values());
    if (most === 0) return undefined;
    const dense = new Float64Array(this.#lexical.slots);
    for (const [name, cosine] of nearest) {
      const slot = this.#lexical.slotOf(name);
      if (slot !== undefined && cosine > 0) dense[slot] = weight * toThousandths(cosine / most);
    }
    return dense;
  }

  #exact(text: string): string | undefined {
    const bare = text.trim().replace(/@[^@\s]*$/, '');
    return this.#documents.has(bare) ? bare : this.#byName.get(spoken(bare));
  }

  #explained(
    ranked: readonly { name: string; value: number }[],
    scale: number,
    clauses: readonly Clause[],
  ): SearchHit[] {
    const slots = ranked.map(({ name }) => this.#lexical.slotOf(name) as number);
    const masks = this.#lexical.fieldsHolding(
      clauses.map(({ terms }) => terms.map(({ term }) => term)),
      slots,
    );
    return ranked.map(({ name, value }, i) => {
      const found = clauses.map((clause, c) => ({ clause, fields: masks[c]?.[i] ?? 0 }));
      const reason = reasonFor(this.#documents.get(name) as SearchDocument, found);
      return { name, score: toThousandths(Math.min(1, value * scale)), reason };
    });
  }
}

/** Without a word of the question, a hit below this share of the best one is padding. */
const PADDING = 0.05;

/** Backends differ in the last digits. */
function toThousandths(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/** A name as people say it: `Incident Response` is incident-response. */
function spoken(name: string): string {
  return words(name)
    .map((w) => w.text)
    .join(' ');
}
