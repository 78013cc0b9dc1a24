/**
 * Which documents hold which term, packed for a registry of ten thousand plugins. A posting is one number:
 * slot << 11 | field << 8 | count. A term with a single posting is kept as that number, any other as
 * [documents, ...postings by slot]: most terms occur once, and an array costs ten times as much.
 */
const FIELD_SHIFT = 8;
const SLOT_SHIFT = 11;
const MAX_COUNT = 255;
export const MAX_SLOTS = 1 << 20;

export class Postings {
  readonly #terms = new Map<string, number | number[]>();

  has(term: string): boolean {
    return this.#terms.has(term);
  }

  documents(term: string): number {
    const entry = this.#terms.get(term);
    return entry === undefined ? 0 : typeof entry === 'number' ? 1 : (entry[0] as number);
  }

  /** Whether the term is held by a slot that passes. */
  some(term: string, passes: (slot: number) => boolean): boolean {
    const entry = this.#terms.get(term);
    if (entry === undefined) return false;
    if (typeof entry === 'number') return passes(entry >>> SLOT_SHIFT);
    for (let i = 1; i < entry.length; i++) if (passes((entry[i] as number) >>> SLOT_SHIFT)) return true;
    return false;
  }

  /** `counts` by field; the document must not hold the term yet. */
  add(term: string, slot: number, counts: readonly number[]): void {
    const added: number[] = [];
    for (let field = 0; field < counts.length; field++) {
      const count = Math.min(counts[field] as number, MAX_COUNT);
      if (count > 0) added.push((slot << SLOT_SHIFT) | (field << FIELD_SHIFT) | count);
    }
    const [first] = added;
    if (first === undefined) return;
    const entry = this.#terms.get(term);
    if (entry === undefined) {
      this.#terms.set(term, added.length === 1 ? first : [1, ...added]);
    } else if (typeof entry === 'number') {
      this.#terms.set(term, entry < first ? [2, entry, ...added] : [2, ...added, entry]);
    } else {
      entry[0] = (entry[0] as number) + 1;
      if ((entry[entry.length - 1] as number) < first) entry.push(...added);
      else entry.splice(firstOf(entry, slot), 0, ...added);
    }
  }

  /** True when no document holds the term any more. */
  remove(term: string, slot: number): boolean {
    const entry = this.#terms.get(term);
    if (entry === undefined) return false;
    if (typeof entry === 'number') return entry >>> SLOT_SHIFT === slot && this.#terms.delete(term);
    const first = firstOf(entry, slot);
    const last = firstOf(entry, slot + 1);
    if (first === last) return false;
    entry.splice(first, last - first);
    entry[0] = (entry[0] as number) - 1;
    if (entry.length === 1) return this.#terms.delete(term);
    if (entry.length === 2) this.#terms.set(term, entry[1] as number);
    return false;
  }

  /**
   * For each document that holds the term: `into[slot]` becomes `worth` × share where that is more, share being
   * sum / (saturation + sum) of count × `fieldWorth[field][slot]`. Slots that were 0 before are written to `touched` from
   * `at` on; answers the new end.
   */
  score(
    term: string,
    worth: number,
    saturation: number,
    fieldWorth: readonly Float32Array[],
    into: Float64Array,
    touched: Int32Array,
    at: number,
  ): number {
    const entry = this.#terms.get(term);
    if (entry === undefined) return at;
    const single = typeof entry === 'number';
    const length = single ? 2 : entry.length;
    let end = at;
    let i = 1;
    while (i < length) {
      let posting = single ? entry : (entry[i] as number);
      const slot = posting >>> SLOT_SHIFT;
      let sum = 0;
      do {
        const field = fieldWorth[(posting >>> FIELD_SHIFT) & 7] as Float32Array;
        sum += (posting & MAX_COUNT) * (field[slot] as number);
        i++;
        if (i >= length) break;
        posting = (entry as number[])[i] as number;
      } while (posting >>> SLOT_SHIFT === slot);
      const value = (worth * sum) / (saturation + sum);
      const before = into[slot] as number;
      if (before === 0) touched[end++] = slot;
      if (value > before) into[slot] = value;
    }
    return end;
  }

  /** Adds to `masks`, by place in `slots`, the fields (as bits) in which the slot holds the term. */
  mark(term: string, slots: readonly number[], masks: number[]): void {
    const entry = this.#terms.get(term);
    if (entry === undefined) return;
    const postings = typeof entry === 'number' ? [1, entry] : entry;
    slots.forEach((slot, place) => {
      for (let i = firstOf(postings, slot); i < postings.length; i++) {
        const posting = postings[i] as number;
        if (posting >>> SLOT_SHIFT !== slot) break;
        masks[place] = (masks[place] as number) | (1 << ((posting >>> FIELD_SHIFT) & 7));
      }
    });
  }
}

/** Where the postings of the slot begin, or would. */
function firstOf(entry: readonly number[], slot: number): number {
  let low = 1;
  let high = entry.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((entry[middle] as number) >>> SLOT_SHIFT < slot) low = middle + 1;
    else high = middle;
  }
  return low;
}
