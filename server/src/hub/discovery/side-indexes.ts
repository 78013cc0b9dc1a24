import { setImmediate } from 'node:timers/promises';
import type { Store } from '../../storage/store.ts';
import type { Log } from '../context.ts';
import type { CatalogueVersion } from '../registry/snapshot.ts';
import type { SearchDocument } from './document.ts';
import { documentOf, readDocument } from './documents.ts';
import { SearchIndex } from './search-index.ts';

/** So many texts are read before the search that asks for them; more are read behind it. */
export const READ_AT_ONCE = 16;
/** Sets of versions whose indexes are kept, those asked for last. */
const KEPT = 8;

/**
 * Indexes of versions that not everybody may find, each made of just the versions that somebody asked for: two callers share one
 * only where they see the same. By words alone: the vectors are of what everybody sees.
 */
export class SideIndexes {
  readonly #store: Store;
  readonly #log: Log;
  readonly #closing: AbortSignal;
  /** Asked for last comes last. */
  readonly #indexes = new Map<string, Promise<SearchIndex>>();
  /** What was read; a version keeps its object from one catalogue to the next. */
  readonly #documents = new WeakMap<CatalogueVersion, SearchDocument>();
  #reading: Promise<void> = Promise.resolve();

  constructor(store: Store, log: Log, closing: AbortSignal) {
    this.#store = store;
    this.#log = log;
    this.#closing = closing;
  }

  /** The index of these versions, each of another name, and of all that `base` holds. */
  of(versions: readonly CatalogueVersion[], base: SearchIndex | undefined): Promise<SearchIndex> {
    const key = [base !== undefined, ...versions.map((v) => `${v.id} ${v.updatedAt}`)].join('\n');
    const index = this.#indexes.get(key) ?? this.#build(key, versions, base);
    this.#indexes.delete(key);
    this.#indexes.set(key, index);
    for (const oldest of this.#indexes.keys()) if (this.#indexes.size > KEPT) this.#indexes.delete(oldest);
    index.catch(() => this.#indexes.delete(key));
    return index;
  }

  /** When all texts are read. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#indexes.values());
    await this.#reading;
  }

  async #build(
    key: string,
    versions: readonly CatalogueVersion[],
    base: SearchIndex | undefined,
  ): Promise<SearchIndex> {
    const index = new SearchIndex(base);
    const unread: CatalogueVersion[] = [];
    for (const [i, version] of versions.entries()) {
      const document = this.#documents.get(version);
      if (document === undefined) unread.push(version);
      index.upsert(document ?? documentOf(version));
      if (i % READ_AT_ONCE === READ_AT_ONCE - 1) await setImmediate();
    }
    if (unread.length <= READ_AT_ONCE) await this.#read(index, unread);
    else this.#reading = this.#reading.then(() => this.#readBehind(key, index, unread));
    return index;
  }

  async #readBehind(key: string, index: SearchIndex, versions: readonly CatalogueVersion[]): Promise<void> {
    try {
      await this.#read(index, versions);
    } catch (err) {
      // The next search that asks for it reads again.
      this.#indexes.delete(key);
      this.#log.warn({ err }, 'Texts of plugins that are not offered could not be read');
    }
  }

  async #read(index: SearchIndex, versions: readonly CatalogueVersion[]): Promise<void> {
    for (const version of versions) {
      if (this.#closing.aborted) return;
      const document = this.#documents.get(version) ?? (await readDocument(this.#store, version));
      this.#documents.set(version, document);
      index.upsert(document);
    }
  }
}
