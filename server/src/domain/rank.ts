import { stemmer } from 'stemmer';

/** Ranks a handful of texts by words, for where there is no index: a machine's private memories. Pure. */

const STOP = new Set(
  'a an and are as at be by can do does for from has have how i if in is it its me my not of on or our so that the their then there this to was we what when where which who why will with you your'.split(
    ' ',
  ),
);
const K1 = 1.2;
const B = 0.5;
/** What a begun word counts against a whole one. */
const PREFIX_WEIGHT = 0.5;

/** Words as they are compared: lower case, without accents, stemmed, without those that say nothing. */
export function terms(text: string): string[] {
  const plain = text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
  const words = plain.match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.filter((w) => !STOP.has(w)).map((w) => (/^[a-z]+$/.test(w) ? stemmer(w) : w));
}

export interface Ranked<T> {
  item: T;
  /** 0 to 1: the share of the question's weight that the text holds. */
  score: number;
  /** The words that were found. */
  reason: string;
}

/** Items that share a word with the question (BM25), best first. */
export function rank<T>(items: readonly T[], textOf: (item: T) => string, question: string): Ranked<T>[] {
  const wanted = [...new Set(terms(question))];
  const docs = items.map((item) => ({ item, counts: countsOf(terms(textOf(item))) }));
  const average = docs.reduce((sum, d) => sum + d.counts.size, 0) / Math.max(1, docs.length);
  const found = wanted.map((term) => docs.map((d) => hits(d.counts, term)));
  const idf = found.map((row) => {
    const n = row.filter((h) => h > 0).length;
    return Math.log(1 + (docs.length - n + 0.5) / (n + 0.5));
  });
  const whole = idf.reduce((sum, w) => sum + w * (K1 + 1), 0);
  return docs
    .map(({ item, counts }, d) => {
      const parts = wanted.map((_, t) => {
        const tf = (found[t]?.[d] ?? 0) / (1 - B + (B * counts.size) / Math.max(1, average));
        return ((idf[t] ?? 0) * tf * (K1 + 1)) / (tf + K1);
      });
      const score = whole === 0 ? 0 : parts.reduce((a, b) => a + b, 0) / whole;
      return {
        item,
        score: Math.round(Math.min(1, score) * 1000) / 1000,
        reason: wanted.filter((_, t) => (parts[t] ?? 0) > 0).join(', '),
      };
    })
    .filter((r) => r.score > 0)
    .sort((a, b) => b.score - a.score);
}

function hits(counts: ReadonlyMap<string, number>, term: string): number {
  const exact = counts.get(term);
  if (exact !== undefined) return exact;
  if (term.length < 4) return 0;
  for (const word of counts.keys()) {
    if (word.startsWith(term) || (word.length >= 4 && term.startsWith(word))) return PREFIX_WEIGHT;
  }
  return 0;
}

function countsOf(words: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}
