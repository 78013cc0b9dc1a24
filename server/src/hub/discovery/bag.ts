import { type Analysis, isPair } from './analysis.ts';

/** A text as weighted words without order: what vectors are computed from. */
export interface Bag {
  terms: string[];
  weights: number[];
}

/** How much a word counts by field, in the order of FIELDS. */
const FIELD_WEIGHTS: readonly number[] = [3, 2, 2, 1.5, 0.7, 0.5];

/** A document's words; repetition counts by its logarithm. */
export function bagOf({ counts }: Analysis): Bag {
  const bag: Bag = { terms: [], weights: [] };
  for (const [term, row] of counts) {
    if (isPair(term)) continue;
    bag.terms.push(term);
    bag.weights.push(Math.log1p(row.reduce((sum, count, field) => sum + count * (FIELD_WEIGHTS[field] ?? 0), 0)));
  }
  return bag;
}
