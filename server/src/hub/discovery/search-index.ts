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
  /** The cosine that says nothing. Where it is given a cosine beyond it speaks for a plugin also where no word does. */
  noise?: number | undefined;
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

/** What speaks for each document of a question, by slot. */
interface Mix {
  /** Of the words, and the best of them. */
  scores: Float64Array;
  best: number;
  /** How much the words count beside what is near. */
  trust: number;
  dense: Float64Array | undefined;
  /** How much the nearest say, by name. */
  meaning: ReadonlyMap<string, number>;
  passes(slot: number): boolean;
  /** The plugin that the question names. */
  exact: string | undefined;
}

/** Finds plugins by words, and by vectors that the caller looked up; knows nothing of where those come from. */
export class SearchIndex {
  readonly #rules: SearchRules;
  readonly #lexical: LexicalIndex;
  readonly #documents = new Map<string, SearchDocument>();
  readonly #byName = new Map<string, string>();
  readonly #base: SearchIndex | undefined;

  /** @param base whose documents are searched as well; it knows nothing of those in here */
  constructor(base?: SearchIndex, rules: SearchRules = SEARCH_RULES) {
    this.#rules = rules;
    this.#base = base;
    this.#lexical = base === undefined ? new LexicalIndex(rules) : new LexicalIndex(rules, base.#lexical);
  }

  get size(): number {
    return this.#documents.size;
  }

  /** Adds the document, or replaces the one of its name; answers its words for vectors. */
  upsert(document: SearchDocument): Bag {
    this.remove(document.name);
    const analysis = analyse(document);
    this.#lexical.upsert(analysis);
    this.#documents.set(document.name, document);
    this.#byName.set(spoken(document.name), document.name);
    return bagOf(analysis);
  }

  /** False when there is no document of this name. */
  remove(name: string): boolean {
    if (!this.#documents.delete(name)) return false;
    this.#lexical.remove(name);
    if (this.#byName.get(spoken(name)) === name) this.#byName.delete(spoken(name));
    return true;
  }

  /** The question as a bag of known words, for the vectors to be looked up. */
  bag(text: string, keywords: readonly string[] = []): Bag {
    return questionBag(this.#read(text, keywords));
  }

  query(request: SearchRequest): SearchAnswer {
    const { text, keywords = [], limit, filter = () => true } = request;
    const passes = this.#bySlot(filter);
    const clauses = this.#read(text, keywords, request.filter && passes);
    const { scores, best, ideal } = lexicalScores(this.#lexical, clauses, passes);
    const nearest = [...(request.nearest ?? [])].filter(([name]) => this.#documentOf(name) && filter(name));
    const { denseWeight = this.#rules.denseWeight } = request;
    const dense = this.#dense(nearest, denseWeight);
    const meaning = meaningOf(nearest, request.noise);
    const { weakBelow } = this.#rules;
    const strength = ideal === 0 ? 0 : Math.min(1, best / ideal);
    const clearest = Math.max(0, ...meaning.values());
    // Words that fit badly must not hide what the meaning finds.
    const trust = strength < weakBelow && clearest >= weakBelow ? strength / weakBelow : 1;
    const exact = this.#exact(text);
    const ranked = this.#ranked(request, { scores, best, trust, dense, meaning, passes, exact });
    const scale = strength / (1 + (nearest.length > 0 ? denseWeight : 0));
    const hits = this.#explained(ranked, clauses, (name, mixed) => Math.max(mixed * scale, meaning.get(name) ?? 0));
    const named = exact !== undefined && filter(exact);
    if (named) hits.unshift({ name: exact, score: 1, reason: 'the name itself' });
    return { hits: hits.slice(0, limit), weak: !named && Math.max(strength, clearest) < weakBelow };
  }

  /** The documents for which words and nearness together say most; the one that is named stands above them. */
  #ranked({ limit, last, noise }: SearchRequest, mix: Mix): readonly { name: string; value: number }[] {
    const { scores, best, trust, dense, meaning, passes, exact } = mix;
    const top = new TopList(limit);
    for (let slot = 0; slot < scores.length; slot++) {
      const words = best === 0 ? 0 : (scores[slot] as number) / best;
      const near = dense?.[slot] ?? 0;
      if (words === 0 && near === 0) continue;
      const mixed = trust * words + near;
      if (!top.takes(mixed)) continue;
      const name = this.#lexical.nameAt(slot);
      if (name === undefined || name === exact) continue;
      if (words === 0 && (noise === undefined ? mixed < PADDING : !meaning.has(name))) continue;
      if (!passes(slot)) continue;
      top.add(name, mixed, last?.(name) === true);
    }
    return top.sorted();
  }

  #read(text: string, keywords: readonly string[], passes?: (slot: number) => boolean): Clause[] {
    return readQuestion(this.#lexical, text, keywords, this.#rules, passes);
  }

  /** The filter by slot, asked once for each name: a question asks for the same documents thousands of times. */
  #bySlot(filter: (name: string) => boolean): (slot: number) => boolean {
    const [unknown, passes, kept] = [0, 1, 2];
    const answers = new Uint8Array(this.#lexical.slots);
    return (slot) => {
      if (answers[slot] === unknown) {
        const name = this.#lexical.nameAt(slot);
        answers[slot] = name !== undefined && filter(name) ? passes : kept;
      }
      return answers[slot] === passes;
    };
  }

  /** What nearness adds, by slot: the nearest gets the full weight. */
  #dense(nearest: readonly [string, number][], weight: number): Float64Array | undefined {
    const most = Math.max(0, ...nearest.map(([, cosine]) => cosine));
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
    return this.#documentOf(bare) === undefined ? this.#named(spoken(bare)) : bare;
  }

  #documentOf(name: string): SearchDocument | undefined {
    const own = this.#documents.get(name);
    return own !== undefined || this.#base === undefined ? own : this.#base.#documentOf(name);
  }

  #named(said: string): string | undefined {
    const own = this.#byName.get(said);
    return own !== undefined || this.#base === undefined ? own : this.#base.#named(said);
  }

  #explained(
    ranked: readonly { name: string; value: number }[],
    clauses: readonly Clause[],
    scoreOf: (name: string, value: number) => number,
  ): SearchHit[] {
    const slots = ranked.map(({ name }) => this.#lexical.slotOf(name) as number);
    const masks = this.#lexical.fieldsHolding(
      clauses.map(({ terms }) => terms.map(({ term }) => term)),
      slots,
    );
    return ranked.map(({ name, value }, i) => {
      const found = clauses.map((clause, c) => ({ clause, fields: masks[c]?.[i] ?? 0 }));
      const reason = reasonFor(this.#documentOf(name) as SearchDocument, found);
      return { name, score: toThousandths(Math.min(1, scoreOf(name, value))), reason };
    });
  }
}

/** Without a word of the question, a hit below this share of the best one is padding. */
const PADDING = 0.05;
/** The same where the meaning alone is asked: what is less than half as clear as the clearest. */
const CLEAR = 0.5;

/** How much each cosine says: 0 for what says nothing, 1 for the same text. Only what is clear beside the clearest. */
function meaningOf(nearest: readonly [string, number][], noise: number | undefined): Map<string, number> {
  if (noise === undefined || noise >= 1) return new Map();
  const said = nearest.map(([name, cosine]): [string, number] => [name, toThousandths((cosine - noise) / (1 - noise))]);
  const least = CLEAR * Math.max(0, ...said.map(([, share]) => share));
  return new Map(said.filter(([, share]) => share > 0 && share >= least));
}

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
