import type { LexicalRules } from './lexical-index.ts';
import type { QuestionRules } from './question.ts';

/** Every number the search was given, chosen on the questions that bench/search keeps for tuning; the plateau is wide. */
export interface SearchRules extends LexicalRules, QuestionRules {
  /** How much nearness of vectors counts against words. */
  denseWeight: number;
  /** The same for vectors of an embedder outside the hub; measured with one that is small (bench/search/README.md). */
  modelWeight: number;
  /** How many nearest vectors take part. */
  denseCount: number;
  /** A best hit that reaches a smaller share of what a perfect one would means that nothing fits well. */
  weakBelow: number;
}

export const SEARCH_RULES: SearchRules = {
  fields: [
    { weight: 3, lengthDiscount: 0.3 },
    { weight: 2, lengthDiscount: 0.5 },
    { weight: 2, lengthDiscount: 0.5 },
    { weight: 1.5, lengthDiscount: 0.7 },
    { weight: 1, lengthDiscount: 0.7 },
    { weight: 0.5, lengthDiscount: 0.7 },
  ],
  saturation: 1.2,
  pairWeight: 0.5,
  keywordWeight: 0.6,
  typoFactor: 0.6,
  prefixFactor: 0.7,
  joinedFactor: 0.8,
  denseWeight: 0.25,
  modelWeight: 0.6,
  denseCount: 100,
  weakBelow: 0.15,
};
