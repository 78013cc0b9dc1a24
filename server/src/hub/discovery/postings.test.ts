import { expect, it } from 'vitest';
import { seeded } from '../../../../bench/search/measures.ts';
import { Postings } from './postings.ts';

const FIELDS = 6;
const ONE = Array.from({ length: FIELDS }, () => new Float32Array(64).fill(1));

/** What a term's documents hold, as the index itself tells it: by slot the fields and the share. */
function told(postings: Postings, term: string) {
  const slots = Array.from({ length: 64 }, (_, i) => i);
  const masks = slots.map(() => 0);
  postings.mark(term, slots, masks);
  const into = new Float64Array(64);
  const touched = new Int32Array(64);
  const count = postings.score(term, 1, 1, ONE, into, touched, 0);
  return { masks, scores: [...into], touched: [...touched.slice(0, count)].sort((a, b) => a - b) };
}

it('tells of each document what was added last, in whatever order they came and went', () => {
  const random = seeded(5);
  const pick = (n: number) => Math.floor(random() * n);
  const postings = new Postings();
  const model = new Map<string, Map<number, number[]>>();
  for (let step = 0; step < 3000; step++) {
    const term = `t${pick(5)}`;
    const slot = pick(20);
    const held = model.get(term) ?? new Map<number, number[]>();
    model.set(term, held);
    if (held.has(slot)) {
      held.delete(slot);
      expect(postings.remove(term, slot)).toBe(held.size === 0);
    } else {
      const counts = Array.from({ length: FIELDS }, () => (random() < 0.4 ? pick(300) : 0));
      if (!counts.some((n) => n > 0)) counts[pick(FIELDS)] = 1;
      held.set(slot, counts);
      postings.add(term, slot, counts);
    }
    const { masks, scores, touched } = told(postings, term);
    expect(postings.documents(term)).toBe(held.size);
    expect(postings.has(term)).toBe(held.size > 0);
    expect(touched).toEqual([...held.keys()].sort((a, b) => a - b));
    for (let s = 0; s < 20; s++) {
      const counts = held.get(s) ?? [];
      const sum = counts.reduce((a, n) => a + Math.min(n, 255), 0);
      expect(scores[s]).toBeCloseTo(sum / (1 + sum), 12);
      expect(masks[s]).toBe(counts.reduce((mask, n, field) => (n > 0 ? mask | (1 << field) : mask), 0));
    }
  }
});

it('takes away nothing that is not there', () => {
  const postings = new Postings();
  expect(postings.remove('t', 1)).toBe(false);
  postings.add('t', 3, [1]);
  postings.add('t', 5, [0, 2]);
  expect(postings.remove('t', 4)).toBe(false);
  expect(postings.documents('t')).toBe(2);
  postings.add('empty', 1, [0, 0]);
  expect(postings.has('empty')).toBe(false);
});
