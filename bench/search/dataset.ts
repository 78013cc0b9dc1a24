import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SearchDocument } from '../../server/src/hub/discovery/document.ts';

/** The judged questions and the plugins they were judged against. */

export interface Question {
  id: string;
  query: string;
  relevant: string[];
  relevant_pooled: string[];
  /** Of fresh questions, beside them; of the others in keywords.json. */
  keywords?: string[];
}

interface PluginLine {
  name: string;
  description: string;
  keywords: string[];
  components: { kind: SearchDocument['components'][number]['kind']; name: string; description?: string }[];
  text: string;
}

/** `fresh`: questions written after every rule was chosen, and after which none was changed. */
export type Half = 'dev' | 'held-out' | 'fresh';
export const HALVES: readonly Half[] = ['dev', 'held-out', 'fresh'];

const SPLIT_SEED = 'split-1:';

export interface Dataset {
  plugins: SearchDocument[];
  questions: Question[];
  half: (question: Question) => Half;
}

/** Reads plugins.jsonl and queries.json, and fresh questions where their file is named; a name that occurs again gets a number, as a registry would ask for. */
export function readDataset(folder: string, freshFile?: string): Dataset {
  const lines = readFileSync(join(folder, 'plugins.jsonl'), 'utf8').trim().split('\n');
  const seen = new Map<string, number>();
  const plugins = lines.map((line) => {
    const p = JSON.parse(line) as PluginLine;
    const n = (seen.get(p.name) ?? 0) + 1;
    seen.set(p.name, n);
    return {
      name: n === 1 ? p.name : `${p.name}~${n}`,
      description: p.description,
      keywords: p.keywords,
      useCases: [],
      components: p.components.map((c) => ({ ...c, description: c.description ?? '' })),
      body: p.text,
    };
  });
  const questions = JSON.parse(readFileSync(join(folder, 'queries.json'), 'utf8')) as Question[];
  const order = questions
    .map((q) => [
      createHash('sha256')
        .update(SPLIT_SEED + q.id)
        .digest('hex'),
      q.id,
    ])
    .sort();
  const dev = new Set(order.slice(0, Math.ceil(order.length / 2)).map(([, id]) => id));
  const fresh = freshFile === undefined ? [] : (JSON.parse(readFileSync(freshFile, 'utf8')) as Question[]);
  const isFresh = new Set(fresh.map((q) => q.id));
  return {
    plugins,
    questions: [...questions, ...fresh],
    half: (q) => (isFresh.has(q.id) ? 'fresh' : dev.has(q.id) ? 'dev' : 'held-out'),
  };
}

/** The name that the judgments use. */
export function judgedName(name: string): string {
  return name.replace(/~\d+$/, '');
}
