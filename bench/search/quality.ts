import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromaBinding, startChroma } from '../../tests/discovery/chroma-server.ts';
import { HALVES, type Half, judgedName, type Question, readDataset } from './dataset.ts';
import { interval, mean, type Outcome, outcomeOf, sample, seeded } from './measures.ts';
import { embedded, embeddedOnChroma, type System, sqliteBm25 } from './systems.ts';

/**
 * hit@1, hit@3 and MRR of the hub's search and of SQLite's BM25, by size of the registry, with and without keywords.
 * Arguments: the folder with plugins.jsonl and queries.json, keywords.json, and sizes (`all`, `100,all`) where not every one is
 * wanted; then `chroma`, to ask a real Chroma server for the nearest vectors, too.
 */
const DRAWS = 5;
const MODES = ['query', 'query + keywords'];
const BASELINE = 'SQLite BM25';
/** `random`: a question takes part where one of its answers happens to be there; `with answers`: all of them are. */
const KINDS = ['random', 'with answers'] as const;
type Kind = (typeof KINDS)[number];
const [folder = '', keywordsFile = '', sizes = '50,100,200,400,all', also = ''] = process.argv.slice(2);
const SIZES = sizes.split(',').map((size) => (size === 'all' ? Number.POSITIVE_INFINITY : Number(size)));
const { plugins, questions, half } = readDataset(folder, join(keywordsFile, '..'));
const keywords = JSON.parse(readFileSync(keywordsFile, 'utf8')) as Record<string, string[]>;

const binding = also === 'chroma' ? await chromaBinding() : undefined;
if (binding !== undefined && 'missing' in binding) throw new Error(binding.missing);
const server = binding === undefined ? undefined : await startChroma(binding.path);

const SYSTEMS: Record<string, (p: typeof plugins) => System | Promise<System>> = {
  [BASELINE]: sqliteBm25,
  'words only': (p) => embedded(p, false),
  embedded: (p) => embedded(p),
  ...(server === undefined ? {} : { 'embedded on Chroma': (p) => embeddedOnChroma(p, server.url) }),
};

/** By mode, half and system: by question, outcomes of each draw. */
type Results = Map<string, Map<string, Outcome[]>>;

interface Draw {
  plugins: typeof plugins;
  questions: Question[];
}

/** A registry with the answers of some questions of one half (one for five plugins), filled up at random. */
function withAnswers(size: number, which: Half, random: () => number): Draw {
  const asked = sample(
    questions.filter((q) => half(q) === which),
    Math.round(size / 5),
    random,
  );
  const answers = new Set(asked.flatMap((q) => q.relevant));
  const kept = plugins.filter((p) => answers.has(judgedName(p.name)));
  const others = plugins.filter((p) => !answers.has(judgedName(p.name)));
  return { plugins: [...kept, ...sample(others, Math.max(0, size - kept.length), random)], questions: asked };
}

function draws(size: number, kind: Kind): Draw[] {
  if (!Number.isFinite(size)) return [{ plugins, questions }];
  return Array.from({ length: DRAWS }, (_, i) => seeded(1000 * size + i)).flatMap((random) =>
    kind === 'random'
      ? [{ plugins: sample(plugins, size, random), questions }]
      : HALVES.map((which) => withAnswers(size, which, random)),
  );
}

async function measure(size: number, kind: Kind): Promise<Results> {
  const results: Results = new Map();
  for (const draw of draws(size, kind)) {
    const names = new Set(draw.plugins.map((p) => judgedName(p.name)));
    for (const [label, make] of Object.entries(SYSTEMS)) {
      const system = await make(draw.plugins);
      for (const question of draw.questions) {
        const relevant = new Set(question.relevant.filter((name) => names.has(name)));
        if (relevant.size === 0) continue;
        for (const mode of MODES) {
          const terms = mode === 'query' ? [] : (question.keywords ?? keywords[question.id]);
          if (terms === undefined) continue;
          const outcome = outcomeOf((await system(question.query, terms)).map(judgedName), relevant);
          note(results, `${mode}|${half(question)}|${label}`, question, outcome);
        }
      }
    }
  }
  return results;
}

function note(results: Results, key: string, question: Question, outcome: Outcome): void {
  const byQuestion = results.get(key) ?? new Map<string, Outcome[]>();
  results.set(key, byQuestion);
  byQuestion.set(question.id, [...(byQuestion.get(question.id) ?? []), outcome]);
}

const percent = (x: number) => `${(100 * x).toFixed(1)}`;

function row(results: Results, mode: string, which: Half, label: string): string | undefined {
  const mine = results.get(`${mode}|${which}|${label}`);
  if (mine === undefined) return undefined;
  const base = results.get(`${mode}|${which}|${BASELINE}`) ?? new Map<string, Outcome[]>();
  const values = (m: keyof Outcome, of: typeof mine) => [...of.values()].map((list) => mean(list.map((o) => o[m])));
  const theirs = values('hit3', base);
  const difference = values('hit3', mine).map((v, i) => v - (theirs[i] ?? 0));
  const withInterval = (list: number[]) => {
    const [low, high] = interval(list);
    return `${percent(mean(list))} (${percent(low)}…${percent(high)})`;
  };
  const hit1 = percent(mean(values('hit1', mine)));
  const mrr = mean(values('mrr', mine)).toFixed(3);
  const over = label === BASELINE ? '' : withInterval(difference);
  return `${mode} | ${which} | ${label} | ${mine.size} | ${hit1} | ${withInterval(values('hit3', mine))} | ${mrr} | ${over}`;
}

console.log(
  '| plugins | registry | asked with | half | system | questions | hit@1 | hit@3 (95 %) | MRR | over BM25 (95 %) |',
);
console.log('|---|---|---|---|---|---|---|---|---|---|');
for (const size of SIZES) {
  for (const kind of Number.isFinite(size) ? KINDS : (['random'] as const)) {
    const results = await measure(size, kind);
    const registry = Number.isFinite(size) ? `${size} | ${kind}` : `${plugins.length} | all`;
    for (const mode of MODES) {
      for (const which of HALVES) {
        for (const label of Object.keys(SYSTEMS)) {
          const line = row(results, mode, which, label);
          if (line !== undefined) console.log(`| ${registry} | ${line} |`);
        }
      }
    }
  }
}
await server?.drop();
