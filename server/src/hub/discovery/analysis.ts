import { FIELDS, type SearchDocument } from './document.ts';
import { compounds, type Word, words } from './words.ts';

/** A document as the indexes take it: how often each term stands in each field. */
export interface Analysis {
  name: string;
  /** By term (words, glued words as one, pairs): counts in the order of FIELDS. */
  counts: Map<string, number[]>;
  /** Words in each field, stop words not counted. */
  lengths: number[];
}

/** Where pairs of words are indexed: elsewhere they are many and find nothing. */
const WITH_PAIRS = ['name', 'description', 'keywords', 'component'];

/** Counts the terms of a document. */
export function analyse(document: SearchDocument): Analysis {
  const counts = new Map<string, number[]>();
  const lengths = fieldTexts(document).map((texts, field) => {
    let length = 0;
    for (const text of texts) {
      const all = words(text);
      const telling = all.filter((w) => !w.stop);
      length += telling.length;
      for (const term of termsOf(all, telling, WITH_PAIRS.includes(FIELDS[field] ?? ''))) {
        let row = counts.get(term);
        if (row === undefined) {
          row = FIELDS.map(() => 0);
          counts.set(term, row);
        }
        row[field] = (row[field] ?? 0) + 1;
      }
    }
    return length;
  });
  return { name: document.name, counts, lengths };
}

/** The index term of two words side by side. */
export function pairTerm(a: string, b: string): string {
  return `${a} ${b}`;
}

export function isPair(term: string): boolean {
  return term.includes(' ');
}

function termsOf(all: readonly Word[], telling: readonly Word[], withPairs: boolean): string[] {
  const terms = [...telling.map((w) => w.term), ...compounds(all)];
  if (!withPairs) return terms;
  telling.forEach((word, i) => {
    const next = telling[i + 1];
    if (next !== undefined) terms.push(pairTerm(word.term, next.term));
  });
  return terms;
}

/** A document's text by field, in the order of FIELDS. */
function fieldTexts(document: SearchDocument): string[][] {
  return [
    [document.name],
    [document.description],
    [...document.keywords, ...document.useCases],
    document.components.map((c) => c.name),
    document.components.map((c) => c.description),
    [document.body],
  ];
}
