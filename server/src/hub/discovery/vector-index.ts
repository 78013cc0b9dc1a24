/** Unit vectors by name, and the nearest of them to another, by plain comparison with all. */
export class VectorIndex {
  readonly dimensions: number;
  readonly #rows = new Map<string, number>();
  readonly #names: (string | undefined)[] = [];
  readonly #free: number[] = [];
  #values = new Float32Array(0);
  #cosineRoom = new Float32Array(0);

  constructor(dimensions: number) {
    this.dimensions = dimensions;
  }

  get size(): number {
    return this.#rows.size;
  }

  names(): IterableIterator<string> {
    return this.#rows.keys();
  }

  /** Undefined takes the name's vector out. */
  set(name: string, vector: Float32Array | undefined): void {
    const known = this.#rows.get(name);
    if (vector === undefined) {
      if (known === undefined) return;
      this.#rows.delete(name);
      this.#names[known] = undefined;
      this.#values.fill(0, known * this.dimensions, (known + 1) * this.dimensions);
      this.#free.push(known);
      return;
    }
    const row = known ?? this.#free.pop() ?? this.#names.length;
    this.#rows.set(name, row);
    this.#names[row] = name;
    if ((row + 1) * this.dimensions > this.#values.length) this.#grow(row + 1);
    this.#values.set(vector, row * this.dimensions);
  }

  get(name: string): Float32Array | undefined {
    const row = this.#rows.get(name);
    return row === undefined ? undefined : this.#values.slice(row * this.dimensions, (row + 1) * this.dimensions);
  }

  /** The `count` nearest names with their cosines; those at a right angle or beyond are left out. */
  nearest(vector: Float32Array, count: number): Map<string, number> {
    const cosines = this.#cosines(vector);
    const least = leastOf(cosines, this.#names.length, count);
    const found: [string, number][] = [];
    for (let row = 0; row < this.#names.length; row++) {
      const cosine = cosines[row] as number;
      const name = cosine > 0 && cosine >= least ? this.#names[row] : undefined;
      if (name !== undefined) found.push([name, cosine]);
    }
    found.sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
    return new Map(found.slice(0, count));
  }

  /** Two rows at a time: each number of `vector` is read once for both. One row more than there are names is room. */
  #cosines(vector: Float32Array): Float32Array {
    const { dimensions } = this;
    const values = this.#values;
    const rows = this.#names.length;
    if (this.#cosineRoom.length <= rows) this.#cosineRoom = new Float32Array(Math.ceil(rows * 1.5) + 2);
    const cosines = this.#cosineRoom;
    const even = dimensions - (dimensions % 2);
    for (let row = 0; row < rows; row += 2) {
      let i = row * dimensions;
      let j = row + 1 < rows ? i + dimensions : i;
      let [a, b, c, d] = [0, 0, 0, 0];
      for (let k = 0; k < even; k += 2) {
        const x = vector[k] as number;
        const y = vector[k + 1] as number;
        a += x * (values[i] as number);
        b += y * (values[i + 1] as number);
        c += x * (values[j] as number);
        d += y * (values[j + 1] as number);
        i += 2;
        j += 2;
      }
      if (even < dimensions) {
        a += (vector[even] as number) * (values[i] as number);
        c += (vector[even] as number) * (values[j] as number);
      }
      cosines[row] = a + b;
      cosines[row + 1] = c + d;
    }
    return cosines;
  }

  #grow(rows: number): void {
    const next = new Float32Array(Math.max(64, Math.ceil(rows * 1.5)) * this.dimensions);
    next.set(this.#values);
    this.#values = next;
  }
}

const RANGES = 1024;

/** A bound that at least `count` of the first `rows` cosines reach, and few more: from how many lie in each small range. */
function leastOf(cosines: Float32Array, rows: number, count: number): number {
  const ranges = new Int32Array(RANGES + 1);
  for (let row = 0; row < rows; row++) {
    const cosine = cosines[row] as number;
    if (cosine <= 0) continue;
    const range = Math.min(RANGES, (cosine * RANGES) | 0);
    ranges[range] = (ranges[range] as number) + 1;
  }
  let range = RANGES;
  for (let left = count; range > 0; range--) {
    left -= ranges[range] as number;
    if (left <= 0) break;
  }
  return range / RANGES;
}
