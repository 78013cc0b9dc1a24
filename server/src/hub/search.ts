import { parseFrontMatter } from '../domain/front-matter.ts';
import { decodeBlob, readBlobs } from '../storage/blob-queries.ts';
import { filesOf } from '../storage/plugin-queries.ts';
import type { Store } from '../storage/store.ts';
import { headOf } from './registry/choose-version.ts';
import type { Catalogue, CatalogueVersion } from './registry/snapshot.ts';

/** Where a word stands, and how much that says (BM25F weights). */
const FIELDS = { name: 8, keywords: 5, description: 4, component: 3, body: 1 } as const;
type Field = keyof typeof FIELDS;
type Text = Record<Field, string>;

const K1 = 1.2;
const B = 0.6;
const MAX_BODY = 64 * 1024;
const STOP_WORDS = new Set(
  'a an and are as at be by can do does find for from help helps how i in is it me my need of on or plugin plugins should so that the their this to use want what when which with you your'.split(
    ' ',
  ),
);

export interface Hit {
  name: string;
  score: number;
  /** Which words were found where, for people. */
  reason: string;
}

interface Doc {
  name: string;
  /** Identity of what was indexed. */
  id: string;
  updatedAt: string;
  /** stem → weighted frequency and the fields it stands in. */
  terms: Map<string, { weight: number; fields: Set<Field> }>;
  length: number;
}

/** Words as they are compared: lower case, without accents, lightly stemmed, without those that say nothing. */
export function toTerms(text: string): string[] {
  const words =
    text
      .normalize('NFKD')
      .replace(/\p{M}/gu, '')
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.filter((w) => !STOP_WORDS.has(w)).map(stem);
}

function stem(word: string): string {
  if (word.length <= 3 || !/^[a-z]+$/.test(word)) return word;
  const cut = word
    .replace(/ies$/, 'y')
    .replace(/(sses|shes|ches|xes)$/, (m) => m.slice(0, -2))
    .replace(/([^s])s$/, '$1')
    .replace(/(ations?|ating|ated)$/, 'ate')
    .replace(/(izing|ized|izer)$/, 'ize')
    .replace(/(?<=[a-z]{3})(ing|ed|ment|er)$/, '');
  const short = cut.replace(/([bdgklmnprt])\1$/, '$1').replace(/e$/, '');
  return short.length >= 3 ? short : word;
}

/** A full-text index over plugins, one document each. */
export class SearchIndex {
  readonly #docs = new Map<string, Doc>();
  readonly #postings = new Map<string, Set<string>>();
  #length = 0;

  has(name: string, version: Pick<CatalogueVersion, 'id' | 'updatedAt'>): boolean {
    const doc = this.#docs.get(name);
    return doc?.id === version.id && doc.updatedAt === version.updatedAt;
  }

  names(): string[] {
    return [...this.#docs.keys()];
  }

  put(version: Pick<CatalogueVersion, 'id' | 'name' | 'updatedAt'>, text: Text): void {
    this.remove(version.name);
    const doc: Doc = { name: version.name, id: version.id, updatedAt: version.updatedAt, terms: new Map(), length: 0 };
    for (const field of Object.keys(FIELDS) as Field[]) {
      for (const term of toTerms(text[field])) {
        const entry = doc.terms.get(term) ?? { weight: 0, fields: new Set() };
        entry.weight += FIELDS[field];
        entry.fields.add(field);
        doc.terms.set(term, entry);
        doc.length++;
      }
    }
    this.#docs.set(doc.name, doc);
    this.#length += doc.length;
    for (const term of doc.terms.keys()) {
      const names = this.#postings.get(term);
      if (names === undefined) this.#postings.set(term, new Set([doc.name]));
      else names.add(doc.name);
    }
  }

  remove(name: string): void {
    const doc = this.#docs.get(name);
    if (doc === undefined) return;
    this.#docs.delete(name);
    this.#length -= doc.length;
    for (const term of doc.terms.keys()) {
      const names = this.#postings.get(term);
      names?.delete(name);
      if (names?.size === 0) this.#postings.delete(term);
    }
  }

  /** Best first; equal scores by name. A query that is a plugin's name finds that plugin first. */
  search(query: string): Hit[] {
    const terms = [...new Set(toTerms(query))];
    const scores = new Map<string, number>();
    const average = this.#length / Math.max(1, this.#docs.size);
    for (const term of terms) {
      const names = this.#postings.get(term);
      if (names === undefined) continue;
      const idf = Math.log(1 + (this.#docs.size - names.size + 0.5) / (names.size + 0.5));
      for (const name of names) {
        const doc = this.#docs.get(name) as Doc;
        const tf = (doc.terms.get(term)?.weight ?? 0) / (1 - B + (B * doc.length) / average);
        scores.set(name, (scores.get(name) ?? 0) + (idf * tf * (K1 + 1)) / (tf + K1));
      }
    }
    const exact = query.trim().toLowerCase();
    if (this.#docs.has(exact)) scores.set(exact, (scores.get(exact) ?? 0) + 1000);
    return [...scores]
      .map(([name, score]) => ({
        name,
        score: Math.round(score * 1000) / 1000,
        reason: this.#reason(name, terms, exact),
      }))
      .sort((a, b) => b.score - a.score || (a.name < b.name ? -1 : 1));
  }

  #reason(name: string, terms: readonly string[], exact: string): string {
    const parts = name === exact ? ['it has this name'] : [];
    const doc = this.#docs.get(name) as Doc;
    for (const field of Object.keys(FIELDS) as Field[]) {
      const found = terms.filter((t) => doc.terms.get(t)?.fields.has(field));
      if (found.length > 0) parts.push(`${field}: ${found.join(', ')}`);
    }
    return parts.join('; ');
  }
}

const indexes = new WeakMap<Store, { index: SearchIndex; seq: number; filling: Promise<void> }>();

/** The index of a catalogue; only plugins that changed since the last call are read anew. */
export async function searchIndexOf(store: Store, catalogue: Catalogue): Promise<SearchIndex> {
  let known = indexes.get(store);
  if (known === undefined) {
    known = { index: new SearchIndex(), seq: -1, filling: Promise.resolve() };
    indexes.set(store, known);
  }
  const mine = known;
  const fill = async () => {
    if (mine.seq >= catalogue.seq) return;
    const stale = new Set(mine.index.names());
    for (const [name, versions] of catalogue.plugins) {
      const head = headOf(versions);
      if (head === undefined || head.status === 'deleted' || head.status === 'revoked') continue;
      stale.delete(name);
      if (!mine.index.has(name, head)) mine.index.put(head, await textOf(store, head));
    }
    for (const name of stale) mine.index.remove(name);
    mine.seq = catalogue.seq;
  };
  mine.filling = mine.filling.then(fill, fill);
  await mine.filling;
  return mine.index;
}

async function textOf(store: Store, version: CatalogueVersion): Promise<Text> {
  const manifest = JSON.parse(version.manifest) as { keywords?: unknown; haivemind?: { use_cases?: unknown } };
  const strings = (value: unknown) =>
    Array.isArray(value) ? value.filter((v) => typeof v === 'string').join(' ') : '';
  const text: Text = {
    name: version.name,
    keywords: `${strings(manifest.keywords)} ${strings(manifest.haivemind?.use_cases)}`,
    description: version.description,
    component: '',
    body: '',
  };
  const files = (await filesOf(store.read, version.id)).filter((f) => f.path.endsWith('.md') && f.size < MAX_BODY);
  const blobs = new Map(
    (
      await readBlobs(
        store.read,
        files.map((f) => f.sha256),
      )
    ).map((b) => [b.sha256, b]),
  );
  for (const file of files) {
    const blob = blobs.get(file.sha256);
    if (blob === undefined) continue;
    const { described, body } = readMarkdown((await decodeBlob(blob)).toString('utf8'));
    if (file.type === 'other') text.body += ` ${body}`;
    else {
      text.component += ` ${file.path.replace(/^(commands|agents|skills)\/|\.md$|SKILL\.md$/g, '')} ${described}`;
      text.body += ` ${body}`;
    }
  }
  return text;
}

function readMarkdown(source: string): { described: string; body: string } {
  try {
    const { data, body } = parseFrontMatter(source);
    return { described: typeof data.description === 'string' ? data.description : '', body };
  } catch {
    return { described: '', body: source };
  }
}
