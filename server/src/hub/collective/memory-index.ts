import { memoriesAfter } from '../../storage/queries/collective.ts';
import type { Store } from '../../storage/store.ts';
import type { MemoriesTable } from '../../storage/tables/collective.ts';
import { SearchIndex } from '../discovery/search-index.ts';
import { list } from './write.ts';

/** Revisions in one read; one revision holds at most one import. */
const PAGE = 500;

/** All memories in this process, kept in step with the table by revision. */
class MemoryIndex {
  readonly #index = new SearchIndex();
  readonly #rows = new Map<string, MemoriesTable>();
  #rev = 0;
  #filling: Promise<void> = Promise.resolve();

  /** Reads what changed since the last call, by whichever hub process. */
  async refresh(store: Store): Promise<void> {
    const fill = async (): Promise<void> => {
      for (;;) {
        const page = await memoriesAfter(store.read, this.#rev, PAGE);
        for (const row of page) this.#put(row);
        if (page.length === 0) return;
      }
    };
    this.#filling = this.#filling.then(fill, fill);
    await this.#filling;
  }

  get(id: string): MemoriesTable | undefined {
    return this.#rows.get(id);
  }

  all(): Iterable<MemoriesTable> {
    return this.#rows.values();
  }

  search(
    text: string,
    keywords: readonly string[],
    limit: number,
    filter: (row: MemoriesTable) => boolean,
  ): { row: MemoriesTable; score: number; reason: string }[] {
    const fits = (id: string): boolean => {
      const row = this.#rows.get(id);
      return row !== undefined && filter(row);
    };
    const { hits } = this.#index.query({ text, keywords, limit, filter: fits });
    return hits.flatMap(({ name, score, reason }) => {
      const row = this.#rows.get(name);
      return row === undefined ? [] : [{ row, score, reason }];
    });
  }

  #put(row: MemoriesTable): void {
    this.#rev = Math.max(this.#rev, row.rev);
    if (row.forgotten === 1) {
      this.#rows.delete(row.id);
      this.#index.remove(row.id);
      return;
    }
    this.#rows.set(row.id, row);
    this.#index.upsert({
      name: row.id,
      description: row.content,
      keywords: [...list(row.tags), row.category],
      useCases: row.project === null ? [] : [row.project],
      components: [],
      body: '',
    });
  }
}

const indexes = new WeakMap<Store, MemoryIndex>();

/** The index of a store, in step with the table. */
export async function memoryIndexOf(store: Store): Promise<MemoryIndex> {
  let index = indexes.get(store);
  if (index === undefined) {
    index = new MemoryIndex();
    indexes.set(store, index);
  }
  await index.refresh(store);
  return index;
}
