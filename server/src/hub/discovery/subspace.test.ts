import { expect, it } from 'vitest';
import { decompose, type SparseRows } from './subspace.ts';

function sparse(rows: number[][]): SparseRows {
  const cells = rows.map((row) => row.map((value, i) => [i, value] as const).filter(([, v]) => v !== 0));
  const starts = Int32Array.from([0, ...cells.map((_, i) => cells.slice(0, i + 1).flat().length)]);
  return {
    starts,
    columns: Int32Array.from(cells.flat().map(([i]) => i)),
    values: Float32Array.from(cells.flat().map(([, v]) => v)),
    width: rows[0]?.length ?? 0,
  };
}

function run(rows: number[][], rank: number) {
  const work = decompose(sparse(rows), rank);
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

it('finds the singular values of a diagonal matrix', () => {
  const { singular } = run(
    [
      [3, 0, 0],
      [0, 5, 0],
      [0, 0, 1],
    ],
    2,
  );
  expect(singular[0]).toBeCloseTo(5, 4);
  expect(singular[1]).toBeCloseTo(3, 4);
  expect(singular.length).toBe(2);
});

it('keeps no directions that a matrix of lower rank does not have', () => {
  const { rank, singular } = run(
    Array.from({ length: 6 }, (_, i) => [i + 1, 2 * (i + 1), 0, i + 1]),
    3,
  );
  expect(rank).toBe(1);
  expect(singular[0]).toBeCloseTo(Math.sqrt(91 * 6), 3);
});

it('gives orthonormal directions that keep a matrix of their rank as it was', () => {
  const rows = Array.from({ length: 20 }, (_, i) => [1, i % 3, (i * 7) % 5, i % 2, 1 + (i % 3)]);
  const { rank, right } = run(rows, 5);
  const column = (k: number) => Array.from({ length: 5 }, (_, i) => right[i * rank + k] as number);
  const dot = (a: number[], b: number[]) => a.reduce((sum, v, i) => sum + v * (b[i] as number), 0);
  for (let a = 0; a < rank; a++)
    for (let b = 0; b < rank; b++) expect(dot(column(a), column(b))).toBeCloseTo(a === b ? 1 : 0, 4);
  for (const row of rows) {
    const back = row.map((_, i) => {
      let sum = 0;
      for (let k = 0; k < rank; k++) sum += dot(row, column(k)) * (right[i * rank + k] as number);
      return sum;
    });
    back.forEach((value, i) => {
      expect(value).toBeCloseTo(row[i] as number, 3);
    });
  }
});
