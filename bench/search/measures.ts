/** What a ranking is worth, and how sure that is. */

export interface Outcome {
  hit1: number;
  hit3: number;
  mrr: number;
}

/** One ranking (names, best first, ten at most) against the relevant names. */
export function outcomeOf(ranking: readonly string[], relevant: ReadonlySet<string>): Outcome {
  const place = ranking.findIndex((name) => relevant.has(name));
  return { hit1: Number(place === 0), hit3: Number(place >= 0 && place < 3), mrr: place < 0 ? 0 : 1 / (place + 1) };
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, v) => sum + v, 0) / values.length;
}

/** Always the same numbers from 0 to 1 for a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The 95 % interval of a mean, by drawing the questions anew 4,000 times. */
export function interval(values: readonly number[], seed = 7): [number, number] {
  const random = seeded(seed);
  const means = Array.from({ length: 4000 }, () =>
    mean(values.map(() => values[Math.floor(random() * values.length)] as number)),
  ).sort((a, b) => a - b);
  return [means[99] as number, means[3900] as number];
}

/** `count` of the items, drawn without putting back. */
export function sample<T>(items: readonly T[], count: number, random: () => number): T[] {
  const rest = [...items];
  return Array.from({ length: Math.min(count, rest.length) }, () => {
    const at = Math.floor(random() * rest.length);
    const [item] = rest.splice(at, 1);
    return item as T;
  });
}
