import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { toHaiveError } from '../../domain/errors.ts';
import type { Store } from '../../storage/store.ts';
import type { Log } from '../context.ts';
import { offeredHead } from '../registry/choose-version.ts';
import type { Catalogue, CatalogueVersion } from '../registry/snapshot.ts';
import { BuiltInVectors } from './built-in-vectors.ts';
import type { SearchDocument } from './document.ts';
import { documentOf, readDocument } from './documents.ts';
import type { Embedder } from './embedder.ts';
import { ModelVectors } from './model-vectors.ts';
import { SEARCH_RULES } from './rules.ts';
import { runSliced } from './run-sliced.ts';
import { type SearchAnswer, SearchIndex, type SearchRequest } from './search-index.ts';
import { READ_AT_ONCE, type Searched, SideIndexes } from './side-indexes.ts';
import type { VectorIndex } from './vector-index.ts';

export interface Found extends SearchAnswer {
  /** Where the nearest vectors came from. */
  backend: 'embedded' | 'chroma' | Embedder['kind'];
  /** Why it was not the one that is configured. */
  note?: string;
}

/** Vectors by name, all of the model that `id` names. */
export interface HeldVectors {
  readonly id: string | undefined;
  readonly vectors: VectorIndex | undefined;
}

/** Looks vectors up elsewhere than in the hub's memory. */
export interface VectorService {
  /** The service holds these vectors of this model from now on; called again whenever they change. */
  follow(vectors: HeldVectors): void;
  /** The nearest names, or why there is no answer; never throws. @param model what the vector is of; what is followed when absent */
  nearest(vector: Float32Array, count: number, model?: string): Promise<Map<string, number> | { unavailable: string }>;
  /** When what was told so far has arrived or was given up. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/** What is offered, and nothing beside. */
export const OFFERED: Searched = { offered: true, beside: [], sight: 'everybody' };

/** Computing models takes at most one part in so many of the hub's time. */
const REFIT_PAUSES = 10;
const MAX_PAUSE_MS = 60_000;
/** After a failure the embedder is left in peace for so long, in ms; twice as long after each further one. */
const FIRST_REST_MS = 1_000;
const LAST_REST_MS = 60_000;

/**
 * Keeps a search index in step with what the catalogue offers, and nothing else: its words, scores and vectors tell nobody of
 * what is not offered. Nothing in it is a truth: it is rebuilt from the registry at start.
 */
export class Discovery {
  readonly #store: Store;
  readonly #log: Log;
  readonly #service: VectorService | undefined;
  readonly #index = new SearchIndex();
  readonly #vectors = new BuiltInVectors();
  readonly #model: ModelVectors | undefined;
  readonly #sides: SideIndexes;
  /** Why the embedder is left alone, until when (on performance.now()'s clock), and how long the next time. */
  #rest: { why: string; until: number } | undefined;
  #restMs = FIRST_REST_MS;
  #retry: NodeJS.Timeout | undefined;
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

  constructor(store: Store, log: Log, service?: VectorService, embedder?: Embedder) {
    this.#store = store;
    this.#log = log;
    this.#service = service;
    this.#model = embedder && new ModelVectors(embedder);
    this.#sides = new SideIndexes(store, log, this.#closing.signal);
  }

  /** Searches the catalogue as it is given, with everything that was committed before it was loaded. */
  async find(
    catalogue: Catalogue,
    request: Pick<SearchRequest, 'text' | 'keywords' | 'limit' | 'filter' | 'last'>,
    searched: Searched = OFFERED,
  ): Promise<Found> {
    await this.follow(catalogue);
    const base = searched.offered ? this.#index : undefined;
    const index =
      base !== undefined && searched.beside.length === 0 ? base : await this.#sides.of(searched, catalogue.seq, base);
    if (base === undefined) return { ...index.query(request), backend: 'embedded' };
    const { backend, note, ...near } = await this.#nearest(request.text, request.keywords ?? []);
    return { ...index.query({ ...request, ...near }), backend, ...(note === undefined ? {} : { note }) };
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
    await this.#sides.settled();
    await this.#service?.settled();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#retry);
    await this.#background;
    await this.#sides.settled();
    await this.#model?.close();
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
      const head = offeredHead(versions);
      if (head === undefined) this.#drop(name);
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
    this.#model?.put(document);
  }

  #drop(name: string): void {
    if (!this.#indexed.delete(name)) return;
    this.#unread.delete(name);
    this.#index.remove(name);
    this.#vectors.remove(name);
    this.#model?.remove(name);
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
        await this.#askModel();
        this.#service?.follow(this.#model?.ready === true ? this.#model : this.#vectors);
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

  /** Fetches what the embedder has not made yet; where it fails, the hub's own vectors go on serving and it is asked again. */
  async #askModel(): Promise<void> {
    if (this.#model?.due !== true || this.#resting() !== undefined) return;
    try {
      await this.#model.renew(this.#closing.signal);
      this.#restMs = FIRST_REST_MS;
    } catch (thrown) {
      this.#leaveAlone(thrown);
    }
  }

  #leaveAlone(thrown: unknown): void {
    if (this.#closed) return;
    const why = toHaiveError(thrown).message;
    this.#log.warn({ err: why }, 'The embedder is left out');
    this.#rest = { why, until: performance.now() + this.#restMs };
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#work(), this.#restMs + 10);
    this.#retry.unref();
    this.#restMs = Math.min(LAST_REST_MS, this.#restMs * 2);
  }

  /** Why the embedder is not asked now. */
  #resting(): string | undefined {
    return this.#rest !== undefined && performance.now() < this.#rest.until ? this.#rest.why : undefined;
  }

  async #nearest(text: string, keywords: readonly string[]): Promise<Nearest> {
    if (this.#model === undefined) return this.#own(text, keywords);
    if (!this.#model.ready) {
      return {
        ...this.#embedded(text, keywords),
        note: this.#resting() ?? 'The embedder has not made all vectors yet',
      };
    }
    const resting = this.#resting();
    if (resting !== undefined) return { ...this.#embedded(text, keywords), note: resting };
    try {
      const vector = await this.#model.embed(text, keywords);
      this.#restMs = FIRST_REST_MS;
      return await this.#lookUp(vector, this.#model, {
        backend: this.#model.kind,
        denseWeight: SEARCH_RULES.modelWeight,
        noise: this.#model.noise,
      });
    } catch (thrown) {
      this.#leaveAlone(thrown);
      return { ...this.#embedded(text, keywords), note: toHaiveError(thrown).message };
    }
  }

  /** By the hub's own vectors, from the service that holds them where there is one. */
  async #own(text: string, keywords: readonly string[]): Promise<Nearest> {
    const vector = this.#vectors.embed(this.#index.bag(text, keywords));
    if (vector === undefined) return this.#embedded(text, keywords);
    return this.#lookUp(vector, this.#vectors, { backend: 'embedded' });
  }

  #embedded(text: string, keywords: readonly string[]): Nearest {
    const nearest = this.#vectors.nearest(this.#index.bag(text, keywords), SEARCH_RULES.denseCount);
    return { nearest, backend: 'embedded' };
  }

  async #lookUp(vector: Float32Array, held: HeldVectors, here: Omit<Nearest, 'nearest' | 'note'>): Promise<Nearest> {
    const count = SEARCH_RULES.denseCount;
    const answer = await this.#service?.nearest(vector, count, held.id);
    if (answer instanceof Map) return { ...here, nearest: answer, backend: 'chroma' };
    const nearest = held.vectors?.nearest(vector, count) ?? new Map<string, number>();
    return { ...here, nearest, ...(answer === undefined ? {} : { note: answer.unavailable }) };
  }
}

interface Nearest {
  nearest: Map<string, number>;
  backend: Found['backend'];
  denseWeight?: number;
  noise?: number;
  note?: string;
}
