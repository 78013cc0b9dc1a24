/** Unit vectors by name, and the nearest of them to another, by plain comparison with all. */
export class VectorIndex {
  readonly dimensions: number;
  readonly #rows = new Map<string, number>();
  readonly #names: (string | undefined)[] = [];
  readonly #free: number[] = [];
  #values = new Float32Array(0);

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
    // How many cosines lie in each of many small ranges tells which range the last of the nearest is in.
    const ranges = new Int32Array(RANGES + 1);
    for (const cosine of cosines) if (cosine > 0) bump(ranges, rangeOf(cosine));
    let range = RANGES;
    for (let left = count; range > 0; range--) {
      left -= ranges[range] as number;
      if (left <= 0) break;
    }
    const rows: number[] = [];
    for (let row = 0; row < cosines.length; row++) {
      const cosine = cosines[row] as number;
      if (cosine > 0 && rangeOf(cosine) >= range && this.#names[row] !== undefined) rows.push(row);
    }
    const nearest = rows
      .map((row): [string, number] => [this.#names[row] as string, cosines[row] as number])
      .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
    return new Map(nearest.slice(0, count));
  }

  #cosines(vector: Float32Array): Float32Array {
    const { dimensions } = this;
    const values = this.#values;
    const cosines = new Float32Array(this.#names.length);
    const inFours = dimensions - (dimensions % 4);
    for (let row = 0; row < cosines.length; row++) {
      const from = row * dimensions;
      let [a, b, c, d] = [0, 0, 0, 0];
      for (let k = 0; k < inFours; k += 4) {
        a += (vector[k] as number) * (values[from + k] as number);
        b += (vector[k + 1] as number) * (values[from + k + 1] as number);
        c += (vector[k + 2] as number) * (values[from + k + 2] as number);
        d += (vector[k + 3] as number) * (values[from + k + 3] as number);
      }
      for (let k = inFours; k < dimensions; k++) a += (vector[k] as number) * (values[from + k] as number);
      cosines[row] = a + b + c + d;
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

function rangeOf(cosine: number): number {
  return Math.min(RANGES, Math.ceil(cosine * RANGES));
}

function bump(ranges: Int32Array, at: number): void {
  ranges[at] = (ranges[at] as number) + 1;
}
