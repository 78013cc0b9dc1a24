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

/** How the words of a text are told apart. */
interface Script {
  word: RegExp;
  /** Where one word written in camelCase ends and the next begins. */
  camel: RegExp;
  /** Letters of scripts without spaces; none where there are none. */
  unspaced?: RegExp;
}

/** What most texts are made of: the same rules at a third of the price. */
const ASCII: Script = { word: /[A-Za-z0-9]+(?:\+\+|#)?/g, camel: /(?<=[a-z])(?=[A-Z][a-z])/ };
const UNICODE: Script = {
  word: /[\p{L}\p{N}]+(?:\+\+|#)?/gu,
  camel: /(?<=\p{Ll})(?=\p{Lu}\p{Ll})/u,
  unspaced: /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}]/u,
};
/** A capital within a word: without one, camelCase need not be looked for. */
const CAPITAL = /(?!^)\p{Lu}/u;
// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII begins with them.
const NOT_ASCII = /[^\x00-\x7f]/;
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
  const ascii = !NOT_ASCII.test(text);
  const { word, camel, unspaced } = ascii ? ASCII : UNICODE;
  const marked = ascii ? text : text.normalize('NFKD').replace(/\p{M}+/gu, '');
  const plain = marked.replace(/['\u2019]s\b/g, '');
  let end = -2;
  for (const match of plain.matchAll(word)) {
    const [whole] = match;
    const between = match.index - end === 1 ? plain[end] : '';
    end = match.index + whole.length;
    let glued = between !== '' && between !== undefined && '-._/'.includes(between);
    for (const part of CAPITAL.test(whole) ? whole.split(camel) : [whole]) {
      const lower = part.toLowerCase().slice(0, MAX_WORD);
      for (const piece of unspaced?.test(lower) === true ? pairs(lower) : [lower]) {
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
