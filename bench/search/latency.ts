import { readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { BuiltInVectors } from '../../server/src/hub/discovery/built-in-vectors.ts';
import type { SearchDocument } from '../../server/src/hub/discovery/document.ts';
import { SEARCH_RULES } from '../../server/src/hub/discovery/rules.ts';
import { SearchIndex } from '../../server/src/hub/discovery/search-index.ts';
import { readDataset } from './dataset.ts';
import { seeded } from './measures.ts';

/**
 * Milliseconds of searches and updates in a registry of 10,000 plugins, and the memory it takes. The judged plugins are
 * copied until there are enough, each copy with a name of its own and with words of another mixed in.
 */
const count = Number(process.argv[4] ?? 10_000);
const { plugins: real, questions } = readDataset(process.argv[2] ?? '');
const keywords = JSON.parse(readFileSync(process.argv[3] ?? '', 'utf8')) as Record<string, string[]>;
const random = seeded(1);
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
const mixed = (text: string, other: string) =>
  text
    .split(' ')
    .map((word, i) => (random() < 0.3 ? (other.split(' ')[i] ?? `${word}${Math.floor(random() * 1000)}`) : word))
    .join(' ');
const plugins: SearchDocument[] = Array.from({ length: count }, (_, i) => {
  const plugin = real[i % real.length] as SearchDocument;
  const other = pick(real);
  return {
    ...plugin,
    name: `${plugin.name}-${i}`,
    description: mixed(plugin.description, other.description),
    components: plugin.components.map((c) => ({ ...c, description: mixed(c.description, other.description) })),
    body: mixed(plugin.body, other.body),
  };
});
const mistyped = (text: string) =>
  text.replace(/([a-z])([a-z])(?=[a-z]{4})/g, (all, a, b) => (random() < 0.4 ? `${b}${a}` : all));

const quantile = (list: number[], q: number) => [...list].sort((a, b) => a - b)[Math.floor(list.length * q)] as number;
const timed = (run: () => void) => {
  const start = performance.now();
  run();
  return performance.now() - start;
};
/** Wall clock, and processor time of this process beside it: the first grows with whatever else the machine does. */
function report(what: string, runs: number, run: (i: number) => () => void): void {
  const [wall, cpu]: [number[], number[]] = [[], []];
  for (let i = 0; i < runs; i++) {
    const work = run(i);
    const before = process.cpuUsage();
    wall.push(timed(work));
    const { user, system } = process.cpuUsage(before);
    cpu.push((user + system) / 1000);
  }
  const show = (list: number[]) => `p50 ${quantile(list, 0.5).toFixed(2)} p95 ${quantile(list, 0.95).toFixed(2)}`;
  console.log(`${what.padEnd(28)} ms: ${show(wall)}   of processor time: ${show(cpu)}`);
}
const heap = () => {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / 1024 ** 2;
};

const before = heap();
const index = new SearchIndex();
const vectors = new BuiltInVectors();
const fill = () => {
  for (const plugin of plugins) vectors.put(plugin.name, index.upsert(plugin));
};
console.log(`${count} plugins indexed in ${timed(fill).toFixed(0)} ms`);
const steps: number[] = [];
const cpuSteps: number[] = [];
const refit = vectors.refit();
for (let done = false; !done; ) {
  const began = process.cpuUsage();
  steps.push(timed(() => (done = refit.next().done === true)));
  const { user, system } = process.cpuUsage(began);
  cpuSteps.push((user + system) / 1000);
}
const sum = (list: number[]) => list.reduce((a, b) => a + b, 0).toFixed(0);
console.log(
  `model computed in ${sum(steps)} ms (${sum(cpuSteps)} of processor time), in ${steps.length} slices: longest ${Math.max(...steps).toFixed(1)} ms, of processor time ${Math.max(...cpuSteps).toFixed(1)}, p99 ${quantile(cpuSteps, 0.99).toFixed(1)}`,
);
console.log(`memory of index and vectors (documents' own texts not counted) ${(heap() - before).toFixed(0)} MiB`);

const search = (question: string, keywords: string[], filter: (name: string) => boolean) => {
  const nearest = vectors.nearest(index.bag(question, keywords), SEARCH_RULES.denseCount);
  index.query({ text: question, keywords, limit: 10, nearest, filter });
};
const filters = [() => true, (name: string) => name.endsWith('7'), (name: string) => name.endsWith('77')];
for (let i = 0; i < 100; i++) search(pick(questions).query, [], () => true);
for (const [label, make] of [
  ['question', () => ({ q: pick(questions).query, k: [] })],
  [
    'question and 5-10 keywords',
    () => ((question) => ({ q: question.query, k: keywords[question.id] ?? [] }))(pick(questions)),
  ],
  ['question with typing errors', () => ({ q: mistyped(pick(questions).query), k: [] })],
] satisfies [string, () => { q: string; k: string[] }][]) {
  report(label, 300, (i) => {
    const { q, k } = make();
    return () => search(q, k, filters[i % 3] as (name: string) => boolean);
  });
}
report('update of one plugin', 200, () => {
  const plugin = { ...pick(plugins), description: `${pick(plugins).description} changed` };
  return () => vectors.put(plugin.name, index.upsert(plugin));
});
console.log(`load average ${loadavg()[0]?.toFixed(1)} on ${cpus().length} processors`);
