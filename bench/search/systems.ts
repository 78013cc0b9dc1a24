import Database from 'better-sqlite3';
import { BuiltInVectors } from '../../server/src/hub/discovery/built-in-vectors.ts';
import { openChroma } from '../../server/src/hub/discovery/chroma.ts';
import { ChromaService } from '../../server/src/hub/discovery/chroma-service.ts';
import type { SearchDocument } from '../../server/src/hub/discovery/document.ts';
import { SEARCH_RULES } from '../../server/src/hub/discovery/rules.ts';
import { SearchIndex } from '../../server/src/hub/discovery/search-index.ts';

/** A search over one set of plugins: names, best first. */
export type System = (text: string, keywords: readonly string[]) => string[] | Promise<string[]>;

const LIMIT = 10;

/** The baseline: SQLite's FTS5 with its Porter tokenizer and bm25(), any word may match. */
export function sqliteBm25(plugins: readonly SearchDocument[]): System {
  const db = new Database(':memory:');
  db.exec(
    "CREATE VIRTUAL TABLE t USING fts5(name, description, keywords, components, body, tokenize='porter unicode61')",
  );
  const insert = db.prepare('INSERT INTO t VALUES (?, ?, ?, ?, ?)');
  for (const p of plugins) {
    const components = p.components.map((c) => `${c.name} ${c.description}`).join('\n');
    insert.run(p.name, p.description, p.keywords.join(' '), components, p.body);
  }
  const select = db.prepare('SELECT name FROM t WHERE t MATCH ? ORDER BY bm25(t) LIMIT ?');
  return (text, keywords) => {
    const words =
      [text, ...keywords]
        .join(' ')
        .toLowerCase()
        .match(/[\p{L}\p{N}]+/gu) ?? [];
    const rows = select.all(words.map((w) => `"${w}"`).join(' OR '), LIMIT) as { name: string }[];
    return rows.map((r) => r.name);
  };
}

/** The hub's own search, without its vectors where `dense` is false. */
export function embedded(plugins: readonly SearchDocument[], dense = true): System {
  const { index, vectors } = indexed(plugins, dense);
  return (text, keywords) => {
    const nearest = vectors.nearest(index.bag(text, keywords), SEARCH_RULES.denseCount);
    return index.query({ text, keywords, limit: LIMIT, nearest }).hits.map((h) => h.name);
  };
}

/** The same, with the nearest vectors from a real Chroma server; fails where the hub would answer by itself. */
export async function embeddedOnChroma(plugins: readonly SearchDocument[], url: string): Promise<System> {
  const { index, vectors } = indexed(plugins, true);
  const quiet = () => undefined;
  const service = new ChromaService(() => openChroma(url), { info: quiet, warn: quiet, error: quiet });
  service.follow(vectors);
  await service.settled();
  return async (text, keywords) => {
    const vector = vectors.embed(index.bag(text, keywords));
    const nearest = vector === undefined ? new Map<string, number>() : await patient(service, vector);
    return index.query({ text, keywords, limit: LIMIT, nearest }).hits.map((h) => h.name);
  };
}

/** A machine under load may answer later than a search would wait: then it is asked again, for some seconds. */
async function patient(service: ChromaService, vector: Float32Array): Promise<Map<string, number>> {
  for (let left = 40; ; left--) {
    const answer = await service.nearest(vector, SEARCH_RULES.denseCount);
    if (answer instanceof Map) return answer;
    if (left === 0) throw new Error(answer.unavailable);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

function indexed(plugins: readonly SearchDocument[], dense: boolean): { index: SearchIndex; vectors: BuiltInVectors } {
  const index = new SearchIndex();
  const vectors = new BuiltInVectors();
  for (const plugin of plugins) vectors.put(plugin.name, index.upsert(plugin));
  if (dense) Array.from(vectors.refit());
  return { index, vectors };
}
