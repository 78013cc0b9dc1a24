import { pairTerm } from './analysis.ts';
import type { Bag } from './bag.ts';
import type { LexicalIndex } from './lexical-index.ts';
import { compounds, termOf, type Word, words } from './words.ts';

/** One thing looked for: a word of the question with the index terms that may stand for it, best first. */
export interface Clause {
  /** As the caller wrote it. */
  text: string;
  /** `factor` below 1: not the word itself (a typing error, a beginning, written as one word). */
  terms: { term: string; factor: number }[];
  weight: number;
  /** Words side by side: refines the order, says nothing of how much of the question is covered. */
  pair: boolean;
}

export interface QuestionRules {
  /** Weight of a word from the caller's keywords, against one of the question. */
  keywordWeight: number;
  /** What is left of a match for each typing error in it. */
  typoFactor: number;
  /** What a match of a word's beginning is worth. */
  prefixFactor: number;
  /** What `database` is worth to a question for `data base`. */
  joinedFactor: number;
  /** Weight of two words that stand side by side in question and text, against a single word. */
  pairWeight: number;
}

const MAX_VARIANTS = 8;
/** A question of 2,000 characters is cut here, so that it cannot keep the hub busy: its clauses, and the words that are guessed at. */
const MAX_CLAUSES = 100;

/**
 * Reads a question and the caller's keywords into clauses against what the index knows; of words, only against what documents
 * that pass hold: one that is filtered away and spells a word as the question does must not end the look for others.
 * @param passes whether the document in a slot takes part; each term is asked for once, however often the question says it
 */
export function readQuestion(
  index: LexicalIndex,
  text: string,
  keywords: readonly string[],
  rules: QuestionRules,
  passes?: (slot: number) => boolean,
): Clause[] {
  const holds = remembered((term) =>
    passes === undefined ? index.documentsWith(term) > 0 : index.holds(term, passes),
  );
  let guessed = 0;
  const guess = remembered((text) => (guessed++ < MAX_CLAUSES ? guesses(index, holds, text, rules) : []));
  const known: Known = { holds, guess };
  const clauses = new Map<string, Clause>();
  const add = (clause: Clause) => {
    // A word that is asked for twice counts once, with the higher weight.
    const key = clause.terms[0]?.term ?? `?${clause.text}`;
    const known = clauses.get(key);
    if (known !== undefined) known.weight = Math.max(known.weight, clause.weight);
    else if (clauses.size < MAX_CLAUSES) clauses.set(key, clause);
  };
  addWords(known, words(text), 1, rules, add);
  for (const keyword of keywords) addWords(known, words(keyword), rules.keywordWeight, rules, add);
  return [...clauses.values()];
}

/** The question as a bag for vectors: its words as far as the index knows them. */
export function questionBag(clauses: readonly Clause[]): Bag {
  const bag: Bag = { terms: [], weights: [] };
  for (const { terms, weight, pair } of clauses) {
    const [best] = terms;
    if (pair || best === undefined) continue;
    bag.terms.push(best.term);
    bag.weights.push(weight * best.factor);
  }
  return bag;
}

/** What the index knows, for one question. */
interface Known {
  /** Whether a document that passes holds a term. */
  holds(term: string): boolean;
  /** What a word, as written, may have meant that no such document holds. */
  guess(text: string): Clause['terms'];
}

/** Works out each answer once. */
function remembered<T extends boolean | object>(ask: (text: string) => T): (text: string) => T {
  const answers = new Map<string, T>();
  return (text) => {
    const answer = answers.get(text) ?? ask(text);
    answers.set(text, answer);
    return answer;
  };
}

function addWords(
  known: Known,
  all: readonly Word[],
  weight: number,
  rules: QuestionRules,
  add: (clause: Clause) => void,
): void {
  // A question of stop words alone is still a question.
  const kept = all.some((w) => !w.stop) ? all.filter((w) => !w.stop) : all;
  kept.forEach((word, i) => {
    const terms = known.holds(word.term) ? [{ term: word.term, factor: 1 }] : known.guess(word.text);
    add({ text: word.text, terms, weight, pair: false });
    const next = kept[i + 1];
    if (next === undefined) return;
    const together = pairTerm(word.term, next.term);
    if (known.holds(together)) {
      const terms = [{ term: together, factor: 1 }];
      add({ text: `${word.text} ${next.text}`, terms, weight: weight * rules.pairWeight, pair: true });
    }
    const [one] = compounds([word, { ...next, glued: true }]);
    if (one !== undefined && known.holds(one)) {
      const terms = [{ term: one, factor: next.glued ? 1 : rules.joinedFactor }];
      add({ text: `${word.text}${next.text}`, terms, weight, pair: true });
    }
  });
}

function guesses(index: LexicalIndex, holds: Known['holds'], text: string, rules: QuestionRules): Clause['terms'] {
  const split = splitInTwo(holds, text);
  if (split !== undefined) return [{ term: split, factor: 1 }];
  const begun = firstOf(index.startingWith(text), holds).map((term) => ({ term, factor: rules.prefixFactor }));
  const near = firstOf(index.near(termOf(text)), ({ term }) => holds(term)).map(({ term, errors }) => ({
    term,
    factor: rules.typoFactor ** errors,
  }));
  return [...begun, ...near].sort((a, b) => b.factor - a.factor);
}

/** The first MAX_VARIANTS that fit; those behind them are not looked at. */
function firstOf<T>(all: readonly T[], fits: (one: T) => boolean): T[] {
  const found: T[] = [];
  for (const one of all) {
    if (found.length === MAX_VARIANTS) break;
    if (fits(one)) found.push(one);
  }
  return found;
}

/** `loadtesting`, where the registry knows `load testing`: the pair, when both stand side by side somewhere. */
function splitInTwo(holds: Known['holds'], text: string): string | undefined {
  for (let cut = 3; cut <= text.length - 3; cut++) {
    const [a, b] = words(`${text.slice(0, cut)} ${text.slice(cut)}`);
    if (a === undefined || b === undefined) continue;
    const pair = pairTerm(a.term, b.term);
    if (holds(pair)) return pair;
  }
  return undefined;
}
