/**
 * Truncated singular value decomposition of a sparse matrix by randomized subspace iteration (Halko, Martinsson and
 * Tropp 2011): the same input gives the same output. Generators yield where a caller may let others run.
 */

/** Rows of a sparse matrix, one after the other: row i is columns[starts[i]..starts[i+1]]. */
export interface SparseRows {
  starts: Int32Array;
  columns: Int32Array;
  values: Float32Array;
  width: number;
}

export interface Decomposition {
  /** Largest first; at most `rank`, fewer where the matrix has no more. */
  singular: Float64Array;
  /** width × rank, row by row: where each column of the input lies. */
  right: Float32Array;
  rank: number;
}

const OVERSAMPLE = 12;
const ITERATIONS = 3;
/** Rows worked on between two yields. */
const SLICE = 128;
const SEED = 0x5eed;

/** The `rank` strongest directions of the matrix. */
export function* decompose(matrix: SparseRows, rank: number): Generator<void, Decomposition> {
  const height = matrix.starts.length - 1;
  const wide = Math.min(rank + OVERSAMPLE, height, matrix.width);
  let right: Float32Array = yield* noise(matrix.width * wide);
  let left: Float32Array = new Float32Array(0);
  for (let i = 0; i <= ITERATIONS; i++) {
    left = yield* times(matrix, right, wide);
    yield* orthonormalize(left, height, wide);
    right = yield* transposedTimes(matrix, left, wide);
  }
  // right = matrixᵀ · left, so its Gram matrix holds the squared singular values.
  const gram = yield* gramOf(right, matrix.width, wide);
  const { values, vectors } = yield* symmetricEigen(gram, wide);
  const order = [...values.keys()].sort((a, b) => (values[b] as number) - (values[a] as number));
  const most = values[order[0] ?? 0] ?? 0;
  const kept = order.slice(0, rank).filter((i) => (values[i] as number) > most * 1e-9);
  const singular = Float64Array.from(kept, (i) => Math.sqrt(values[i] as number));
  const out = new Float32Array(matrix.width * kept.length);
  for (let row = 0; row < matrix.width; row++) {
    if (row % SLICE === 0) yield;
    for (let k = 0; k < kept.length; k++) {
      const column = kept[k] as number;
      let sum = 0;
      for (let j = 0; j < wide; j++) sum += (right[row * wide + j] as number) * (vectors[j * wide + column] as number);
      out[row * kept.length + k] = sum / (singular[k] as number);
    }
  }
  return { singular, right: out, rank: kept.length };
}

function* times(m: SparseRows, right: Float32Array, wide: number): Generator<void, Float32Array> {
  const height = m.starts.length - 1;
  const out = new Float32Array(height * wide);
  for (let row = 0; row < height; row++) {
    if (row % SLICE === 0) yield;
    const end = m.starts[row + 1] as number;
    for (let at = m.starts[row] as number; at < end; at++) {
      addScaled(out, row * wide, right, (m.columns[at] as number) * wide, m.values[at] as number, wide);
    }
  }
  return out;
}

function* transposedTimes(m: SparseRows, left: Float32Array, wide: number): Generator<void, Float32Array> {
  const height = m.starts.length - 1;
  const out = new Float32Array(m.width * wide);
  for (let row = 0; row < height; row++) {
    if (row % SLICE === 0) yield;
    const end = m.starts[row + 1] as number;
    for (let at = m.starts[row] as number; at < end; at++) {
      addScaled(out, (m.columns[at] as number) * wide, left, row * wide, m.values[at] as number, wide);
    }
  }
  return out;
}

/** Makes the columns orthonormal in place (Cholesky QR, twice for accuracy); columns that depend on others become zero. */
function* orthonormalize(a: Float32Array, height: number, wide: number): Generator<void, void> {
  for (let pass = 0; pass < 2; pass++) {
    const upper = cholesky(yield* gramOf(a, height, wide), wide);
    for (let row = 0; row < height; row++) {
      if (row % SLICE === 0) yield;
      const from = row * wide;
      for (let j = 0; j < wide; j++) {
        const pivot = upper[j * wide + j] as number;
        const value = pivot === 0 ? 0 : (a[from + j] as number) / pivot;
        a[from + j] = value;
        addScaled(a, from + j + 1, upper, j * wide + j + 1, -value, wide - j - 1);
      }
    }
  }
}

/** The upper triangle R with RᵀR = gram; a row of zeros where a column adds nothing to those before it. */
function cholesky(gram: Float64Array, wide: number): Float64Array {
  const upper = new Float64Array(wide * wide);
  for (let i = 0; i < wide; i++) {
    let pivot = gram[i * wide + i] as number;
    for (let k = 0; k < i; k++) pivot -= (upper[k * wide + i] as number) ** 2;
    if (pivot <= (gram[i * wide + i] as number) * 1e-6) continue;
    const root = Math.sqrt(pivot);
    upper[i * wide + i] = root;
    for (let j = i + 1; j < wide; j++) {
      let value = gram[i * wide + j] as number;
      for (let k = 0; k < i; k++) value -= (upper[k * wide + i] as number) * (upper[k * wide + j] as number);
      upper[i * wide + j] = value / root;
    }
  }
  return upper;
}

function* gramOf(a: Float32Array, height: number, wide: number): Generator<void, Float64Array> {
  const gram = new Float64Array(wide * wide);
  for (let row = 0; row < height; row++) {
    if (row % SLICE === 0) yield;
    const from = row * wide;
    for (let i = 0; i < wide; i++) {
      addScaled(gram, i * wide + i, a, from + i, a[from + i] as number, wide - i);
    }
  }
  for (let i = 0; i < wide; i++) for (let j = 0; j < i; j++) gram[i * wide + j] = gram[j * wide + i] as number;
  return gram;
}

const MAX_SWEEPS = 30;

/** Eigenvalues and eigenvectors (in columns) of a symmetric matrix, by cyclic Jacobi rotations. */
function* symmetricEigen(a: Float64Array, n: number): Generator<void, { values: Float64Array; vectors: Float64Array }> {
  const vectors = new Float64Array(n * n);
  for (let i = 0; i < n; i++) vectors[i * n + i] = 1;
  let total = 0;
  for (const value of a) total += value * value;
  for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
    let off = 0;
    for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) off += (a[i * n + j] as number) ** 2;
    if (off <= total * 1e-20) break;
    for (let p = 0; p < n; p++) {
      if (p % 8 === 0) yield;
      for (let q = p + 1; q < n; q++) rotate(a, vectors, n, p, q);
    }
  }
  return { values: Float64Array.from({ length: n }, (_, i) => a[i * n + i] as number), vectors };
}

/** Turns rows and columns p and q so that a[p,q] becomes 0. */
function rotate(a: Float64Array, vectors: Float64Array, n: number, p: number, q: number): void {
  const off = a[p * n + q] as number;
  if (off === 0) return;
  const theta = ((a[q * n + q] as number) - (a[p * n + p] as number)) / (2 * off);
  const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.hypot(theta, 1));
  const c = 1 / Math.hypot(t, 1);
  const s = t * c;
  for (let k = 0; k < n; k++) {
    const [x, y] = [a[k * n + p] as number, a[k * n + q] as number];
    a[k * n + p] = c * x - s * y;
    a[k * n + q] = s * x + c * y;
  }
  for (let k = 0; k < n; k++) {
    const [x, y] = [a[p * n + k] as number, a[q * n + k] as number];
    a[p * n + k] = c * x - s * y;
    a[q * n + k] = s * x + c * y;
    const [u, v] = [vectors[k * n + p] as number, vectors[k * n + q] as number];
    vectors[k * n + p] = c * u - s * v;
    vectors[k * n + q] = s * u + c * v;
  }
}

/** to[at…] += factor · from[start…], over `count` numbers. */
function addScaled(to: Numbers, at: number, from: Numbers, start: number, factor: number, count: number): void {
  if (factor === 0) return;
  for (let i = 0; i < count; i++) to[at + i] = (to[at + i] as number) + factor * (from[start + i] as number);
}

type Numbers = Float32Array | Float64Array;

/** Numbers from -1 to 1, always the same ones (mulberry32). */
function* noise(count: number): Generator<void, Float32Array> {
  const out = new Float32Array(count);
  let state = SEED;
  for (let i = 0; i < count; i++) {
    if (i % 65_536 === 0) yield;
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    out[i] = ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  }
  return out;
}
