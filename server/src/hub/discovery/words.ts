import { stemmer } from 'stemmer';
import { STOP_WORDS } from './stop-words.ts';

/**
 * Text to index terms: lower-cased, without diacritics, split at punctuation and camelCase, stemmed (Porter).
 * The same rules serve documents and questions; a change here asks for a new EMBEDDER version (vectors.ts).
 */

/** One word of a text. `glued` words had only a hyphen, dot, slash or underscore, or a case change, before them. */
export interface Word {
  /** As written, lower-cased: what people are shown. */
  text: string;
  /** What is indexed. */
  term: string;
  stop: boolean;
  glued: boolean;
}

const WORD = /[\p{L}\p{N}]+(?:\+\+|#)?/gu;
const CAMEL = /(?<=\p{Ll})(?=\p{Lu}\p{Ll})/u;
const CJK = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}]/u;
const MAX_WORD = 40;

const stems = new Map<string, string>();
const MAX_STEMS = 200_000;

/** The index term of one lower-case word. */
export function termOf(word: string): string {
  const known = stems.get(word);
  if (known !== undefined) return known;
  // Porter's rules are for words of letters; `s3`, `c++` and `oauth2` stay as they are.
  const term = /^[a-z]{3,}$/.test(word) ? stemmer(word) : word;
  if (stems.size >= MAX_STEMS) stems.clear();
  stems.set(word, term);
  return term;
}

/** The words of a text in order, stop words included and marked. */
export function words(text: string): Word[] {
  const found: Word[] = [];
  const plain = text
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .replace(/[\u2019']s\b/g, '');
  let end = -2;
  for (const match of plain.matchAll(WORD)) {
    const between = match.index - end === 1 ? plain[end] : '';
    end = match.index + match[0].length;
    let glued = between !== '' && between !== undefined && '-._/'.includes(between);
    for (const part of match[0].split(CAMEL)) {
      const lower = part.toLowerCase().slice(0, MAX_WORD);
      for (const piece of CJK.test(lower) ? pairs(lower) : [lower]) {
        found.push({ text: piece, term: termOf(piece), stop: STOP_WORDS.has(piece), glued });
        glued = true;
      }
    }
  }
  return found;
}

/** Scripts without spaces are indexed by overlapping pairs of characters. */
function pairs(text: string): string[] {
  const characters = [...text];
  if (characters.length < 2) return characters;
  return characters.slice(1).map((c, i) => `${characters[i]}${c}`);
}

const MAX_COMPOUND = 24;

/** Words that stand glued together (`pre-commit`, `ci/cd`, `time_series`), also as one term (`precommit`). */
export function compounds(list: readonly Word[]): string[] {
  const joined: string[] = [];
  for (let i = 1; i < list.length; i++) {
    const [a, b] = [list[i - 1], list[i]];
    if (a === undefined || b === undefined || !b.glued) continue;
    const text = a.text + b.text;
    if (text.length <= MAX_COMPOUND) joined.push(termOf(text));
  }
  return joined;
}
