import type { LexicalIndex } from './lexical-index.ts';
import type { Clause } from './question.ts';

export interface LexicalScores {
  /** By slot; 0 where no word matches. */
  scores: Float64Array;
  /** The highest of those that pass. */
  best: number;
  /** What a document would score that holds every word of the question as strongly as can be. */
  ideal: number;
}

/**
 * Scores every document against the clauses: words by rarity and share, times the fourth root of the covered part of the
 * question (measured: it rewards answering all of it over repeating a part; two square roots cost a tenth of a power).
 */
export function lexicalScores(
  index: LexicalIndex,
  clauses: readonly Clause[],
  passes: (slot: number) => boolean,
): LexicalScores {
  const scores = new Float64Array(index.slots);
  const { covered, strongest, touched } = scratchFor(index.slots);
  let ideal = 0;
  for (const clause of clauses) {
    const rarity = rarityOf(index, clause);
    if (!clause.pair) ideal += clause.weight * rarity;
    let count = 0;
    for (const { term, factor } of clause.terms) {
      count = index.score(term, index.rarity(term) * factor, strongest, touched, count);
    }
    for (let i = 0; i < count; i++) {
      const slot = touched[i] as number;
      scores[slot] = (scores[slot] as number) + clause.weight * (strongest[slot] as number);
      if (!clause.pair) covered[slot] = (covered[slot] as number) + clause.weight * rarity;
      strongest[slot] = 0;
    }
  }
  let best = 0;
  for (let slot = 0; slot < scores.length; slot++) {
    const score = scores[slot] as number;
    if (score === 0) continue;
    const share = (covered[slot] as number) / ideal;
    covered[slot] = 0;
    const whole = share < 1 ? score * Math.sqrt(Math.sqrt(share)) : score;
    scores[slot] = whole;
    if (whole > best && passes(slot)) best = whole;
  }
  return { scores, best, ideal };
}

interface Scratch {
  covered: Float64Array;
  strongest: Float64Array;
  touched: Int32Array;
}

/** All 0 between two questions: 240 KB for each question would keep the collector busy. */
let scratch: Scratch = { covered: new Float64Array(0), strongest: new Float64Array(0), touched: new Int32Array(0) };

function scratchFor(slots: number): Scratch {
  if (scratch.touched.length < slots) {
    const room = Math.ceil(slots * 1.25);
    scratch = {
      covered: new Float64Array(room),
      strongest: new Float64Array(room),
      touched: new Int32Array(room),
    };
  }
  return scratch;
}

/** A word that stands for several counts as its most telling meaning; one the registry has never seen as the rarest. */
function rarityOf(index: LexicalIndex, { text, terms }: Clause): number {
  if (terms.length === 0) return index.rarity(`?${text}`);
  return Math.max(...terms.map(({ term }) => index.rarity(term)));
}
