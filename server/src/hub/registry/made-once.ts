import type { Store } from '../../storage/store.ts';

/** What takes time to make and may be made again: kept by key up to a sum of bytes, the longest unused thrown out first. */
export interface MadeOnce<T> {
  /** The kept value, or what `make` gives now; whoever asks meanwhile waits for the same making. */
  get(key: string, make: () => Promise<T>): Promise<T>;
}

/** @param sizeOf bytes that a value takes */
function createMadeOnce<T>(maxBytes: number, sizeOf: (value: T) => number): MadeOnce<T> {
  const kept = new Map<string, T>();
  const making = new Map<string, Promise<T>>();
  let bytes = 0;

  function keep(key: string, value: T): void {
    kept.set(key, value);
    bytes += sizeOf(value);
    for (const [oldest, old] of kept) {
      if (bytes <= maxBytes) return;
      kept.delete(oldest);
      bytes -= sizeOf(old);
    }
  }

  return {
    async get(key, make) {
      const there = kept.get(key);
      if (there !== undefined) {
        // Moved to the end: a map remembers the order of insertion.
        kept.delete(key);
        kept.set(key, there);
        return there;
      }
      let made = making.get(key);
      if (made === undefined) {
        made = make();
        making.set(key, made);
        made.then(
          (value) => {
            making.delete(key);
            keep(key, value);
          },
          () => making.delete(key),
        );
      }
      return made;
    },
  };
}

/** One of these for each store. */
export function madeOncePerStore<T>(maxBytes: number, sizeOf: (value: T) => number): (store: Store) => MadeOnce<T> {
  const all = new WeakMap<Store, MadeOnce<T>>();
  return (store) => {
    const known = all.get(store) ?? createMadeOnce(maxBytes, sizeOf);
    all.set(store, known);
    return known;
  };
}
