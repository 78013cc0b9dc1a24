import { setImmediate } from 'node:timers/promises';
import type { Store } from '../../storage/store.ts';
import type { Log } from '../context.ts';
import type { CatalogueVersion } from '../registry/snapshot.ts';
import type { SearchDocument } from './document.ts';
import { documentOf, readDocument } from './documents.ts';
import { SearchIndex } from './search-index.ts';

/** So many texts are read before the search that asks for them; more are read behind it. */
export const READ_AT_ONCE = 16;
/** So many indexes are kept, those asked for last. */
const KEPT = 8;

/** What is searched. */
export interface Searched {
  /** All that is offered: known to everybody, and what the index that is kept in step holds. */
  offered: boolean;
  /** Versions beside that, each of another name and none of an offered one: only those that the caller may see. */
  beside: readonly CatalogueVersion[];
  /** The same text where `beside` was chosen by the same rules out of what callers see alike (sightOf). */
  sight: string;
}

interface Side {
  index: SearchIndex;
  /** By name: the version that was indexed. */
  held: Map<string, CatalogueVersion>;
  /** Of the catalogue it is in step with. */
  seq: number;
  following: Promise<void>;
}

/**
 * Indexes of versions that not everybody may find, each of just what callers of one sight may: it takes over what changed since they
 * searched last. By words alone: the vectors are of what everybody sees.
 */
export class SideIndexes {
  readonly #store: Store;
  readonly #log: Log;
  readonly #closing: AbortSignal;
  /** Asked for last comes last. */
  readonly #sides = new Map<string, Side>();
  /** What was read; a version keeps its object from one catalogue to the next. */
  readonly #documents = new WeakMap<CatalogueVersion, SearchDocument>();
  #reading: Promise<void> = Promise.resolve();

  constructor(store: Store, log: Log, closing: AbortSignal) {
    this.#store = store;
    this.#log = log;
    this.#closing = closing;
  }

  /**
   * The index of what is beside, and of all that `base` holds.
   * @param seq of the catalogue that `beside` was taken from
   */
  async of({ beside, sight }: Searched, seq: number, base: SearchIndex | undefined): Promise<SearchIndex> {
    const key = `${base !== undefined} ${sight}`;
    const side = this.#sides.get(key) ?? newSide(base);
    this.#sides.delete(key);
    this.#sides.set(key, side);
    for (const oldest of this.#sides.keys()) if (this.#sides.size > KEPT) this.#sides.delete(oldest);
    const step = () => this.#follow(key, side, seq, beside);
    side.following = side.following.then(step, step);
    try {
      await side.following;
    } catch (thrown) {
      this.#forget(key, side);
      throw thrown;
    }
    return side.index;
  }

  /** When all texts are read. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#sides.values()].map((side) => side.following));
    await this.#reading;
  }

  async #follow(key: string, side: Side, seq: number, versions: readonly CatalogueVersion[]): Promise<void> {
    if (seq <= side.seq) return;
    const names = new Set(versions.map((v) => v.name));
    for (const name of side.held.keys()) {
      if (names.has(name)) continue;
      side.held.delete(name);
      side.index.remove(name);
    }
    const changed = versions.filter((v) => side.held.get(v.name) !== v);
    const unread: CatalogueVersion[] = [];
    for (const [i, version] of changed.entries()) {
      const document = this.#documents.get(version);
      if (document === undefined) unread.push(version);
      side.held.set(version.name, version);
      side.index.upsert(document ?? documentOf(version));
      if (i % READ_AT_ONCE === READ_AT_ONCE - 1) await setImmediate();
    }
    side.seq = seq;
    if (unread.length <= READ_AT_ONCE) await this.#read(side, unread);
    else this.#reading = this.#reading.then(() => this.#readBehind(key, side, unread));
  }

  async #readBehind(key: string, side: Side, versions: readonly CatalogueVersion[]): Promise<void> {
    try {
      await this.#read(side, versions);
    } catch (err) {
      this.#forget(key, side);
      this.#log.warn({ err }, 'Texts of plugins that are not offered could not be read');
    }
  }

  /** The next search that asks for it reads again. */
  #forget(key: string, side: Side): void {
    if (this.#sides.get(key) === side) this.#sides.delete(key);
  }

  async #read(side: Side, versions: readonly CatalogueVersion[]): Promise<void> {
    for (const version of versions) {
      if (this.#closing.aborted) return;
      const document = this.#documents.get(version) ?? (await readDocument(this.#store, version));
      this.#documents.set(version, document);
      if (side.held.get(version.name) === version) side.index.upsert(document);
    }
  }
}

function newSide(base: SearchIndex | undefined): Side {
  return { index: new SearchIndex(base), held: new Map(), seq: -1, following: Promise.resolve() };
}
