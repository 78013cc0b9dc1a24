interface Entry {
  name: string;
  value: number;
  last: boolean;
}

/** The best so many of many; equal values stand in the order of their names. */
export class TopList {
  readonly #limit: number;
  /** Best first. */
  readonly #entries: Entry[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether a value has a chance at all. */
  takes(value: number): boolean {
    const worst = this.#entries[this.#limit - 1];
    return worst === undefined || worst.last || value >= worst.value;
  }

  /** `last` puts it behind all that are not. */
  add(name: string, value: number, last: boolean): void {
    const entry = { name, value, last };
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (before(this.#entries[middle] as Entry, entry)) low = middle + 1;
      else high = middle;
    }
    this.#entries.splice(low, 0, entry);
    if (this.#entries.length > this.#limit) this.#entries.pop();
  }

  sorted(): readonly Entry[] {
    return this.#entries;
  }
}

function before(a: Entry, b: Entry): boolean {
  if (a.last !== b.last) return b.last;
  if (a.value !== b.value) return a.value > b.value;
  return a.name < b.name;
}
