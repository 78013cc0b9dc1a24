import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SearchDocument } from '../../server/src/hub/discovery/document.ts';

/** The judged questions and the plugins they were judged against. */

export interface Question {
  id: string;
  query: string;
  relevant: string[];
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

/** `fresh` and `natural`: written after every rule was chosen; see README.md. */
export type Half = 'dev' | 'held-out' | 'fresh' | 'natural';
export const HALVES: readonly Half[] = ['dev', 'held-out', 'fresh', 'natural'];

const SPLIT_SEED = 'split-1:';

export interface Dataset {
  plugins: SearchDocument[];
  questions: Question[];
  half: (question: Question) => Half;
}

/** Reads plugins.jsonl and queries.json, and the later questions where their folder is named; a name that occurs again gets a number, as a registry would ask for. */
export function readDataset(folder: string, laterFolder?: string): Dataset {
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
  const later = (which: 'fresh' | 'natural') =>
    laterFolder === undefined
      ? []
      : (JSON.parse(readFileSync(join(laterFolder, `${which}.json`), 'utf8')) as Question[]);
  const [fresh, natural] = [later('fresh'), later('natural')];
  const halves = new Map<string, Half>([
    ...fresh.map((q): [string, Half] => [q.id, 'fresh']),
    ...natural.map((q): [string, Half] => [q.id, 'natural']),
  ]);
  return {
    plugins,
    questions: [...questions, ...fresh, ...natural],
    half: (q) => halves.get(q.id) ?? (dev.has(q.id) ? 'dev' : 'held-out'),
  };
}

/** The name that the judgments use. */
export function judgedName(name: string): string {
  return name.replace(/~\d+$/, '');
}
