/** Members of one IN list: both engines bound the number of parameters of a statement. */
const CHUNK = 500;

/** The distinct members of `items` in lists of at most `size`. */
export function chunksOf<T>(items: Iterable<T>, size = CHUNK): T[][] {
  const all = [...new Set(items)];
  const chunks: T[][] = [];
  for (let i = 0; i < all.length; i += size) chunks.push(all.slice(i, i + size));
  return chunks;
}

/** Runs `fn` over `items` in chunks, one after the other, and joins what it answers. */
export async function inChunks<T, R>(items: Iterable<T>, fn: (chunk: T[]) => Promise<R[]>): Promise<R[]> {
  const found: R[] = [];
  for (const chunk of chunksOf(items)) {
    for (const row of await fn(chunk)) found.push(row);
  }
  return found;
}
