// The process that fuzzes: it holds nothing but the parsers, because V8 looks through the whole heap for their coverage.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { Session } from 'node:inspector';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { mutator } from './mutator.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const { values } = parseArgs({
  options: {
    target: { type: 'string' },
    minutes: { type: 'string' },
    seconds: { type: 'string' },
    seed: { type: 'string', default: '1' },
    keep: { type: 'boolean', default: false },
    adopt: { type: 'string' },
  },
});
const seconds = values.minutes === undefined ? Number(values.seconds ?? 10) : Number(values.minutes) * 60;
/** One input may cost so much; more is a crash too. */
const MAX_MS = 2000;
/** Asking V8 for coverage costs far more than an input: many run between two questions. */
const BATCH = 96;
const MAX_BYTES = 64 * 1024;

const inspector = new Session();
inspector.connect();
inspector.post('Profiler.enable');
inspector.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
const url = pathToFileURL(process.env.HAIVEMIND_FUZZ ?? '').href;
const { TARGETS } = await import(url);

/** Blocks that ran since the last call. */
function blocks() {
  let result = [];
  inspector.post('Profiler.takePreciseCoverage', (_error, answer) => {
    result = answer.result;
  });
  const found = [];
  for (const script of result) {
    if (script.url !== url) continue;
    for (const fn of script.functions)
      for (const { startOffset, endOffset, count } of fn.ranges)
        if (count > 0) found.push(`${startOffset}-${endOffset}`);
  }
  return found;
}

const isRefusal = (thrown) =>
  thrown?.name === 'HaiveError' && typeof thrown.code === 'string' && thrown.code !== 'INTERNAL';

async function attempt(target, input) {
  const began = performance.now();
  try {
    await target.run(Buffer.from(input));
  } catch (thrown) {
    if (!isRefusal(thrown)) return thrown;
  }
  const ms = performance.now() - began;
  return ms > MAX_MS ? new Error(`broken promise: it took ${Math.round(ms)} ms`) : null;
}

async function fuzz(name) {
  const target = TARGETS[name];
  const corpusDir = join(here, 'corpus', name);
  const kept = await readdir(corpusDir).catch(() => []);
  const corpus = [...target.seeds.map((seed) => Buffer.from(seed))];
  for (const file of kept.sort()) corpus.push(await readFile(join(corpusDir, file)));
  const mutate = mutator(`${values.seed}:${name}`);
  const seen = new Set();
  const crashes = new Map();
  let runs = 0;
  let end = Number.POSITIVE_INFINITY;
  let added = 0;
  const crashed = async (thrown, input) => {
    const where = String(thrown?.stack ?? thrown)
      .split('\n')
      .slice(0, 3)
      .join(' ')
      .replaceAll(url, '');
    if (crashes.has(where)) return;
    crashes.set(where, input);
    const dir = join(here, 'crashes', name);
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, nameOf(input)), input);
    console.log(`CRASH ${name} ${nameOf(input)}: ${where.slice(0, 400)}`);
  };
  const keep = async (input) => {
    await mkdir(corpusDir, { recursive: true });
    await writeFile(join(corpusDir, nameOf(input)), input);
    added++;
  };
  /** The inputs that reach what none before did, found by halves. */
  async function newAmong(inputs) {
    if (performance.now() > end + 5000) return [];
    blocks();
    for (const input of inputs) await attempt(target, input);
    const reached = blocks().filter((block) => !seen.has(block));
    if (reached.length === 0) return [];
    if (inputs.length === 1) {
      for (const block of reached) seen.add(block);
      return inputs;
    }
    const half = inputs.length >> 1;
    const first = await newAmong(inputs.slice(0, half));
    return [...first, ...(await newAmong(inputs.slice(half)))];
  }

  blocks();
  for (const input of corpus) {
    const thrown = await attempt(target, input);
    runs++;
    if (thrown !== null) await crashed(thrown, input);
    for (const block of blocks()) seen.add(block);
  }
  const atStart = seen.size;
  if (values.adopt !== undefined) {
    const from = join(values.adopt, name);
    const others = await Promise.all((await readdir(from).catch(() => [])).map((file) => readFile(join(from, file))));
    for (const input of others.sort((a, b) => a.length - b.length)) {
      const thrown = await attempt(target, input);
      if (thrown !== null) await crashed(thrown, input);
      const reached = blocks().filter((block) => !seen.has(block));
      if (reached.length === 0) continue;
      for (const block of reached) seen.add(block);
      await keep(input);
    }
    console.log(
      `${name}: ${added} of ${others.length} inputs adopted, ${seen.size} coverage edges (${atStart} before)`,
    );
    return crashes.size;
  }
  end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    const batch = Array.from({ length: BATCH }, () => mutate(corpus).subarray(0, MAX_BYTES));
    for (const input of batch) {
      const thrown = await attempt(target, input);
      runs++;
      if (thrown !== null) await crashed(thrown, input);
    }
    if (!blocks().some((block) => !seen.has(block))) continue;
    for (const input of await newAmong(batch)) {
      corpus.push(input);
      // Small ones only: the corpus lies in the repository.
      if (!values.keep || input.length > 2048) continue;
      await keep(input);
    }
  }
  console.log(
    `${name}: ${runs} executions in ${seconds} s, ${seen.size} coverage edges (${atStart} by the corpus of ${kept.length}), ${added} inputs kept, ${crashes.size} crashes`,
  );
  return crashes.size;
}

const nameOf = (input) => createHash('sha256').update(input).digest('hex').slice(0, 16);

let failed = 0;
for (const name of values.target === undefined ? Object.keys(TARGETS) : values.target.split(','))
  failed += await fuzz(name);
process.exit(failed === 0 ? 0 : 1);
