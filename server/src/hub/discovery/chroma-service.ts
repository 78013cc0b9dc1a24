import type { Log } from '../context.ts';
import { type ChromaCollection, type ChromaRow, whyFailed } from './chroma.ts';
import type { HeldVectors, VectorService } from './discovery.ts';

/** A search waits no longer for Chroma than so many ms; then the hub answers by itself. */
const QUERY_MS = 400;
const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 30_000;
/** How often a collection that seems well is counted, in ms: somebody may have emptied it. */
const LOOK_MS = 30_000;

/**
 * Keeps a Chroma collection equal to the hub's vectors and asks it for the nearest. Whatever goes wrong, the collection is
 * compared with the hub's vectors, row by row, before it is asked again.
 */
export class ChromaService implements VectorService {
  readonly #open: () => Promise<ChromaCollection>;
  readonly #log: Log;
  readonly #queryMs: number;
  #collection: ChromaCollection | undefined;
  #wanted: HeldVectors | undefined;
  /** The model and rows that the collection is known to hold. */
  #held: { model: string; hashes: Map<string, string> } | undefined;
  #problem = 'Chroma has not been filled yet';
  #running: Promise<void> | undefined;
  #again = false;
  #retryMs = FIRST_RETRY_MS;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** A write broke off: a server that died in it may list rows whose vectors its index lost, so it is filled anew. */
  #brokeOff = false;

  constructor(open: () => Promise<ChromaCollection>, log: Log, queryMs = QUERY_MS) {
    this.#open = open;
    this.#log = log;
    this.#queryMs = queryMs;
  }

  follow(vectors: HeldVectors): void {
    this.#wanted = vectors;
    this.#start();
  }

  async nearest(
    vector: Float32Array,
    count: number,
    model = this.#wanted?.id,
  ): Promise<Map<string, number> | { unavailable: string }> {
    const held = this.#held;
    if (held === undefined || this.#collection === undefined) return { unavailable: this.#problem };
    if (held.model !== model) return { unavailable: 'Chroma is being filled for a new model' };
    try {
      const found = await within(this.#queryMs, this.#collection.nearest(vector, count));
      const expected = Math.min(count, held.hashes.size);
      // An approximate index may miss a few; one that was wiped misses nearly all.
      if (found.size * 2 < expected) throw new Error(`it knows ${found.size} of ${expected} plugins`);
      return found;
    } catch (err) {
      this.#failed(err);
      return { unavailable: this.#problem };
    }
  }

  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #start(): void {
    if (this.#closed) return;
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#running = this.#bring()
      .then(() => this.#succeeded())
      .catch((err: unknown) => this.#failed(err))
      .finally(() => {
        this.#running = undefined;
        const again = this.#again;
        this.#again = false;
        if (again) this.#start();
      });
  }

  /** Makes the collection hold what is wanted. */
  async #bring(): Promise<void> {
    const wanted = this.#wanted;
    if (wanted?.id === undefined || wanted.vectors === undefined) return;
    const model = wanted.id;
    const rows = rowsOf(wanted);
    this.#collection ??= await this.#open();
    if (this.#held?.model !== model || (await this.#collection.count()) !== this.#held.hashes.size) {
      this.#held = undefined;
      if (this.#brokeOff || (await this.#collection.model()) !== model) {
        this.#brokeOff = true;
        await this.#collection.rebuild(model, rows);
        this.#brokeOff = false;
      }
      this.#held = { model, hashes: await this.#collection.hashes() };
    }
    const { hashes } = this.#held;
    const changed = new Map([...rows].filter(([name, row]) => hashes.get(name) !== row.hash));
    const gone = [...hashes.keys()].filter((name) => !rows.has(name));
    this.#brokeOff = changed.size + gone.length > 0;
    if (changed.size > 0) await this.#collection.upsert(changed);
    if (gone.length > 0) await this.#collection.remove(gone);
    this.#brokeOff = false;
    for (const [name, { hash }] of changed) hashes.set(name, hash);
    for (const name of gone) hashes.delete(name);
  }

  #succeeded(): void {
    this.#retryMs = FIRST_RETRY_MS;
    this.#later(LOOK_MS);
  }

  #failed(err: unknown): void {
    const why = whyFailed(err);
    this.#problem = `Chroma is left out: ${why}`;
    if (this.#held !== undefined || this.#retryMs === FIRST_RETRY_MS)
      this.#log.warn({ err: why }, 'Chroma is left out');
    this.#held = undefined;
    this.#later(this.#retryMs);
    this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2);
  }

  #later(ms: number): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#start(), ms);
    this.#timer.unref();
  }
}

function rowsOf(wanted: HeldVectors): Map<string, ChromaRow> {
  const rows = new Map<string, ChromaRow>();
  for (const name of wanted.vectors?.names() ?? []) {
    const vector = wanted.vectors?.get(name);
    if (vector !== undefined) rows.set(name, { vector, hash: hashOf(vector) });
  }
  return rows;
}

/** FNV-1a over the vector's bits, twice with different starts. */
function hashOf(vector: Float32Array): string {
  const bits = new Uint32Array(vector.buffer, vector.byteOffset, vector.length);
  let [a, b] = [0x811c9dc5, 0x9747b28c];
  for (const value of bits) {
    a = Math.imul(a ^ value, 0x01000193);
    b = Math.imul(b ^ (value >>> 7) ^ (value << 25), 0x01000193);
  }
  return `${(a >>> 0).toString(16)}${(b >>> 0).toString(16)}`;
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
