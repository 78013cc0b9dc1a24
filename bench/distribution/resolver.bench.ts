// The resolver over a large registry: `resolver [PLUGINS] [VERSIONS] [ROUNDS]`, everything wanted at once; then graphs made to mislead a search.
import semver from 'semver';
import { type Candidate, resolve } from '../../server/src/domain/desired/resolve.ts';
import { finish, goal, machineLine, median, shown } from './bench-hub.ts';
import { seeded } from './plugins.ts';

const [plugins = 5000, versions = 50, rounds = 5] = process.argv.slice(2).map(Number);

/** Versions highest first; each requires up to three plugins with lower numbers, within ranges that mostly hold. */
function registry(seed: number): Map<string, Candidate[]> {
  const random = seeded(seed);
  const numbers = Array.from({ length: versions }, (_, i) => `${1 + Math.floor(i / 10)}.${i % 10}.0`).reverse();
  const all = new Map<string, Candidate[]>();
  for (let p = 0; p < plugins; p++) {
    const needs = Array.from({ length: Math.min(p, Math.floor(random() * 4)) }, () => Math.floor(random() * p));
    all.set(
      `p${p}`,
      numbers.map((version) => ({
        name: `p${p}`,
        version,
        dependencies: [...new Set(needs)].map((n) => {
          // Newer versions want newer ones; one in fifty wants what only an old version is.
          const major = random() < 0.02 ? 1 + Math.floor(random() * 5) : semver.major(version);
          return {
            name: `p${n}`,
            range: random() < 0.5 ? `>=${major}.0.0` : `>=${major}.${Math.floor(random() * 4)}.0`,
            kind: 'required' as const,
          };
        }),
      })),
    );
  }
  return all;
}

const dependency = (name: string, range: string) => ({ name, range, kind: 'required' as const });
const many = (name: string, needs: (i: number) => Candidate['dependencies']): Candidate[] =>
  Array.from({ length: versions }, (_, i) => ({
    name,
    version: `${versions - i}.0.0`,
    dependencies: needs(versions - i),
  }));

/** Graphs on which a search that forgets why it failed tries every combination. */
function traps(): Record<string, [string[], Map<string, Candidate[]>]> {
  const width = 20;
  const wide = Array.from({ length: width }, (_, i) => `w${i}`);
  const conflictLast = new Map<string, Candidate[]>(wide.map((name) => [name, many(name, () => [])]));
  conflictLast.set(
    'x',
    many('x', () => [dependency('base', '1.0.0')]),
  );
  conflictLast.set(
    'y',
    many('y', () => [dependency('base', '2.0.0')]),
  );
  conflictLast.set(
    'base',
    many('base', () => []),
  );
  const chain = new Map<string, Candidate[]>(
    wide.map((name, i) => [
      name,
      many(name, (v) => (i + 1 < width ? [dependency(`w${i + 1}`, `${v}.0.0`)] : [dependency('leaf', `${v}.0.0`)])),
    ]),
  );
  chain.set('leaf', [{ name: 'leaf', version: '1.0.0', dependencies: [] }]);
  const narrow = new Map<string, Candidate[]>(
    wide.map((name) => [name, many(name, (v) => [dependency('shared', `<=${v}.0.0`)])]),
  );
  narrow.set(
    'shared',
    many('shared', () => []).filter((c) => c.version !== '1.0.0'),
  );
  narrow.set(
    'last',
    many('last', () => [dependency('shared', '2.0.0')]),
  );
  return {
    'a conflict that nothing before it has a part in': [[...wide, 'x', 'y'], conflictLast],
    'a chain of which only the last link can say which version': [['w0'], chain],
    'many that each bound one they share': [[...wide, 'last'], narrow],
  };
}

console.log(machineLine());
const times: number[] = [];
for (let round = 0; round < rounds; round++) {
  const all = registry(round + 1);
  const began = performance.now();
  const outcome = resolve([...all.keys()], (name) => all.get(name) ?? []);
  times.push(performance.now() - began);
  if (!outcome.ok) console.log(`  no answer: ${outcome.conflict.explanation.slice(0, 200)}`);
  else if (outcome.resolution.size !== plugins) throw new Error('the answer lacks plugins');
}
console.log(`${plugins} plugins with ${versions} versions each, all wanted: ${shown(times)}`);
goal('resolution of the whole registry', median(times), '<=', 1000, 'ms');
for (const [what, [roots, all]] of Object.entries(traps())) {
  const began = performance.now();
  const outcome = resolve(roots, (name) => all.get(name) ?? []);
  const took = performance.now() - began;
  console.log(`  ${outcome.ok ? 'answer' : `none: ${outcome.conflict.explanation.slice(0, 120)}`}`);
  goal(what, took, '<=', 1000, 'ms');
}
finish();
