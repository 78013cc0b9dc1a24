import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import type { Store } from '../../storage/store.ts';
import type { Log } from '../context.ts';
import { headOf } from '../registry/choose-version.ts';
import type { Catalogue, CatalogueVersion } from '../registry/snapshot.ts';
import type { Bag } from './bag.ts';
import { BuiltInVectors } from './built-in-vectors.ts';
import type { SearchDocument } from './document.ts';
import { documentOf, readDocument } from './documents.ts';
import { SEARCH_RULES } from './rules.ts';
import { runSliced } from './run-sliced.ts';
import { type SearchAnswer, SearchIndex, type SearchRequest } from './search-index.ts';

export interface Found extends SearchAnswer {
  /** Where the nearest vectors came from. */
  backend: 'embedded' | 'chroma';
  /** Why it was not the one that is configured. */
  note?: string;
}

/** Looks vectors up elsewhere than in the hub's memory. */
export interface VectorService {
  /** The service holds these vectors of this model from now on; called again whenever they change. */
  follow(vectors: BuiltInVectors): void;
  /** The nearest names, or why there is no answer; never throws. */
  nearest(vector: Float32Array, count: number): Promise<Map<string, number> | { unavailable: string }>;
  /** When what was told so far has arrived or was given up. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/** So many changed plugins are read before the search that found them changed; more are read behind it. */
const READ_AT_ONCE = 16;
/** Computing models takes at most one part in so many of the hub's time. */
const REFIT_PAUSES = 10;
const MAX_PAUSE_MS = 60_000;

/** Keeps a search index in step with the catalogue. Nothing in it is a truth: it is rebuilt from the registry at start. */
export class Discovery {
  readonly #store: Store;
  readonly #log: Log;
  readonly #service: VectorService | undefined;
  readonly #index = new SearchIndex();
  readonly #vectors = new BuiltInVectors();
  /** By name: the version that was indexed. */
  readonly #indexed = new Map<string, CatalogueVersion>();
  /** Names whose files have not been read yet. */
  readonly #unread = new Set<string>();
  #catalogue: Catalogue | undefined;
  #following: Promise<void> = Promise.resolve();
  #background: Promise<void> | undefined;
  /** On performance.now()'s clock. */
  #refitAfter = 0;
  readonly #closing = new AbortController();

  constructor(store: Store, log: Log, service?: VectorService) {
    this.#store = store;
    this.#log = log;
    this.#service = service;
  }

  /** Searches the catalogue as it is given, with everything that was committed before it was loaded. */
  async find(catalogue: Catalogue, request: Omit<SearchRequest, 'nearest'>): Promise<Found> {
    await this.follow(catalogue);
    const bag = this.#index.bag(request.text, request.keywords);
    const { nearest, backend, note } = await this.#nearest(bag);
    const answer = this.#index.query({ ...request, nearest });
    return { ...answer, backend, ...(note === undefined ? {} : { note }) };
  }

  /** Takes over what changed between the catalogue seen last and this one. */
  async follow(catalogue: Catalogue): Promise<void> {
    const step = () => this.#follow(catalogue);
    this.#following = this.#following.then(step, step);
    await this.#following;
  }

  /** When all texts are read and all vectors are of the newest model. */
  async settled(): Promise<void> {
    await this.#following;
    while (this.#background !== undefined) await this.#background;
    await this.#service?.settled();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#background;
    await this.#service?.close();
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  async #follow(catalogue: Catalogue): Promise<void> {
    const seen = this.#catalogue;
    if (seen !== undefined && catalogue.seq <= seen.seq) return;
    for (const name of this.#indexed.keys()) if (!catalogue.plugins.has(name)) this.#drop(name);
    let changed = 0;
    for (const [name, versions] of catalogue.plugins) {
      // An unchanged plugin keeps its list from one catalogue to the next.
      if (seen?.plugins.get(name) === versions) continue;
      const head = headOf(versions);
      if (head === undefined || head.status === 'deleted' || head.status === 'revoked') this.#drop(name);
      else if (this.#indexed.get(name)?.id !== head.id) {
        this.#put(head, documentOf(head));
        this.#unread.add(name);
      }
      if (++changed % READ_AT_ONCE === 0) await setImmediate();
    }
    this.#catalogue = catalogue;
    if (this.#unread.size <= READ_AT_ONCE) await this.#readTexts();
    this.#work();
  }

  async #readTexts(): Promise<void> {
    for (const name of this.#unread) {
      if (this.#closed) return;
      const version = this.#indexed.get(name);
      if (version !== undefined) {
        const document = await readDocument(this.#store, version);
        if (this.#indexed.get(name)?.id !== version.id) continue;
        this.#put(version, document);
      }
      this.#unread.delete(name);
    }
  }

  #put(version: CatalogueVersion, document: SearchDocument): void {
    this.#indexed.set(version.name, version);
    this.#vectors.put(version.name, this.#index.upsert(document));
  }

  #drop(name: string): void {
    if (!this.#indexed.delete(name)) return;
    this.#unread.delete(name);
    this.#index.remove(name);
    this.#vectors.remove(name);
  }

  /** Reads what is unread and renews the model, behind the searches, one at a time. */
  #work(): void {
    if (this.#background !== undefined || this.#closed) return;
    this.#background = (async () => {
      try {
        while (!this.#closed && (this.#unread.size > 0 || this.#vectors.due)) {
          await this.#readTexts();
          if (this.#vectors.due) await this.#refit();
        }
        this.#service?.follow(this.#vectors);
      } catch (err) {
        // The index goes on with what it has; the next change tries again.
        this.#log.warn({ err }, 'The search index could not be renewed');
      } finally {
        this.#background = undefined;
      }
    })();
  }

  async #refit(): Promise<void> {
    const pause = this.#refitAfter - performance.now();
    if (pause > 0) await sleep(pause, undefined, { signal: this.#closing.signal, ref: false }).catch(() => undefined);
    if (this.#closed) return;
    const start = performance.now();
    await runSliced(this.#vectors.refit());
    const now = performance.now();
    this.#refitAfter = now + Math.min(MAX_PAUSE_MS, (now - start) * REFIT_PAUSES);
  }

  async #nearest(bag: Bag): Promise<{ nearest: Map<string, number>; backend: Found['backend']; note?: string }> {
    const vector = this.#vectors.embed(bag);
    const count = SEARCH_RULES.denseCount;
    const embedded = () => this.#vectors.nearest(bag, count);
    if (this.#service === undefined || vector === undefined) return { nearest: embedded(), backend: 'embedded' };
    const answer = await this.#service.nearest(vector, count);
    if (answer instanceof Map) return { nearest: answer, backend: 'chroma' };
    return { nearest: embedded(), backend: 'embedded', note: answer.unavailable };
  }
}
