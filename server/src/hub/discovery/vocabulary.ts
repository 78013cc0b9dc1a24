/** The words an index knows, to find those that a mistyped or unfinished word may have meant. */
export class Vocabulary {
  readonly #byLength = new Map<number, Bucket>();
  readonly #byStart = new Map<string, Set<string>>();

  add(term: string): void {
    let bucket = this.#byLength.get(term.length);
    if (bucket === undefined) {
      bucket = { terms: [], letters: [], at: new Map() };
      this.#byLength.set(term.length, bucket);
    }
    bucket.at.set(term, bucket.terms.length);
    bucket.terms.push(term);
    bucket.letters.push(lettersOf(term));
    const start = term.slice(0, START);
    const sharing = this.#byStart.get(start);
    if (sharing === undefined) this.#byStart.set(start, new Set([term]));
    else sharing.add(term);
  }

  remove(term: string): void {
    const bucket = this.#byLength.get(term.length);
    const at = bucket?.at.get(term);
    if (bucket === undefined || at === undefined) return;
    const start = term.slice(0, START);
    this.#byStart.get(start)?.delete(term);
    if (this.#byStart.get(start)?.size === 0) this.#byStart.delete(start);
    bucket.at.delete(term);
    const lastTerm = bucket.terms.pop();
    const lastLetters = bucket.letters.pop();
    if (lastTerm === undefined || lastLetters === undefined || lastTerm === term) return;
    bucket.terms[at] = lastTerm;
    bucket.letters[at] = lastLetters;
    bucket.at.set(lastTerm, at);
  }

  /** Known words within one typing error of `term` (two from eight letters on), nearest first; none below four letters. */
  near(term: string): Mistyped[] {
    if (term.length < 4) return [];
    const limit = term.length < 8 ? 1 : 2;
    const mask = lettersOf(term);
    const found: Mistyped[] = [];
    for (let length = term.length - limit; length <= term.length + limit; length++) {
      const bucket = this.#byLength.get(length);
      if (bucket === undefined) continue;
      for (let i = 0; i < bucket.terms.length; i++) {
        // Each error takes away and adds at most one letter: counting letters spares most comparisons.
        const letters = bucket.letters[i] as number;
        if (bits(letters & ~mask) > limit || bits(mask & ~letters) > limit) continue;
        const errors = typingErrors(term, bucket.terms[i] as string, limit);
        if (errors <= limit) found.push({ term: bucket.terms[i] as string, errors });
      }
    }
    return found.sort(nearestFirst);
  }

  /** Known words that begin with `prefix`, shortest first; none below three letters. */
  startingWith(prefix: string): string[] {
    if (prefix.length < START) return [];
    const found: string[] = [];
    for (const term of this.#byStart.get(prefix.slice(0, START)) ?? []) {
      if (term.length > prefix.length && term.startsWith(prefix)) found.push(term);
    }
    return found.sort(shortestFirst);
  }
}

export interface Mistyped {
  term: string;
  errors: number;
}

export function nearestFirst(a: Mistyped, b: Mistyped): number {
  return a.errors - b.errors || (a.term < b.term ? -1 : 1);
}

export function shortestFirst(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : 1);
}

/** Letters that a prefix has at least. */
const START = 3;

interface Bucket {
  terms: string[];
  letters: number[];
  at: Map<string, number>;
}

function lettersOf(term: string): number {
  let mask = 0;
  for (let i = 0; i < term.length; i++) mask |= 1 << (term.charCodeAt(i) & 31);
  return mask;
}

function bits(mask: number): number {
  let n = mask - ((mask >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return (((n + (n >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}

/** Rows of the table that typingErrors fills; words are cut at 40 letters. */
const ROWS = [new Uint8Array(64), new Uint8Array(64), new Uint8Array(64)];

/** Letters added, left out, changed, or swapped with their neighbour; anything over `limit` is answered as limit + 1. */
function typingErrors(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit || b.length > 62) return a === b ? 0 : limit + 1;
  let [before, above, row] = ROWS as [Uint8Array, Uint8Array, Uint8Array];
  for (let j = 0; j <= b.length; j++) above[j] = j;
  for (let i = 1; i <= a.length; i++) {
    row[0] = i;
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const same = a.charCodeAt(i - 1) === b.charCodeAt(j - 1);
      let cost = (above[j - 1] as number) + (same ? 0 : 1);
      cost = Math.min(cost, (above[j] as number) + 1, (row[j - 1] as number) + 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, (before[j - 2] as number) + 1);
      row[j] = cost;
      if (cost < least) least = cost;
    }
    if (least > limit) return limit + 1;
    [before, above, row] = [above, row, before];
  }
  return Math.min(above[b.length] as number, limit + 1);
}
