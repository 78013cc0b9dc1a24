import { FIELDS, type SearchDocument } from './document.ts';
import type { Clause } from './question.ts';
import { compounds, words } from './words.ts';

const MAX_PLACES = 3;
const MAX_WORDS = 4;

/** A word of the question and the fields (as bits, in the order of FIELDS) of this plugin that hold it. */
export interface FoundWord {
  clause: Clause;
  fields: number;
}

/** Most telling first; `keywords` are also the use cases. */
const ORDER = ['name', 'keywords', 'component', 'description', 'component description', 'body'] as const;

/** Why a plugin was found, in one line for people: which words of the question stand where. */
export function reasonFor(document: SearchDocument, found: readonly FoundWord[]): string {
  const places = new Map<string, string[]>();
  for (const { clause, fields } of found) {
    const field = ORDER.find((f) => (fields & (1 << FIELDS.indexOf(f))) !== 0);
    if (field === undefined || clause.pair) continue;
    const place = placeOf(document, field, clause);
    const list = places.get(place);
    if (list === undefined) places.set(place, [clause.text]);
    else if (list.length < MAX_WORDS) list.push(clause.text);
  }
  if (places.size === 0) return 'none of the words, but texts akin to them';
  return [...places]
    .slice(0, MAX_PLACES)
    .map(([place, list]) => `${place}: ${list.join(', ')}`)
    .join(' · ');
}

function placeOf(document: SearchDocument, field: (typeof ORDER)[number], clause: Clause): string {
  if (field === 'body') return 'text';
  if (field !== 'component' && field !== 'component description') return field;
  const part = field === 'component' ? 'name' : 'description';
  const component = textsOf(document).find((texts) => clause.terms.some(({ term }) => holds(texts[part], term)));
  return component === undefined ? field : `${component.kind} ${component.name.written}`;
}

interface ComponentTexts {
  kind: string;
  name: Text;
  description: Text;
}

/** A text whose words are taken apart once somebody asks for them. */
interface Text {
  written: string;
  letters?: string;
  terms?: Set<string>;
}

/** Of the plugins shown lately: a collection of a hundred components is not taken apart for every word of a question. */
const shown = new Map<SearchDocument, ComponentTexts[]>();
const MAX_SHOWN = 256;

function textsOf(document: SearchDocument): ComponentTexts[] {
  let texts = shown.get(document);
  if (texts === undefined) {
    texts = document.components.map(({ kind, name, description }) => {
      return { kind, name: { written: name }, description: { written: description } };
    });
    if (shown.size >= MAX_SHOWN) shown.clear();
    shown.set(document, texts);
  }
  return texts;
}

/** Stemming changes no more than the end of what it leaves of a word (`key` is `kei`): most texts are ruled out by its beginning, unread. */
const KEPT = 3;

/** Whether the text holds the term, or each of a pair's words. */
function holds(text: Text, term: string): boolean {
  text.letters ??= text.written
    .normalize('NFKD')
    .replace(/[\p{M}._/-]+/gu, '')
    .toLowerCase();
  const parts = term.split(' ');
  if (!parts.every((part) => text.letters?.includes(part.slice(0, Math.min(KEPT, Math.max(1, part.length - 1))))))
    return false;
  text.terms ??= termsOf(text.written);
  return parts.every((part) => text.terms?.has(part));
}

function termsOf(text: string): Set<string> {
  const all = words(text);
  return new Set([...all.map((w) => w.term), ...compounds(all)]);
}
