import type { Collection } from 'chromadb';

/** The only importer of chromadb. It is a dependency of the hub's host, loaded when a Chroma server is configured. */

const COLLECTION = 'plugin_registry';
/** Filled beside the collection in use, then renamed. */
const BUILDING = 'plugin_registry_building';
const MODEL_KEY = 'haivemind_model';
/** Chroma refuses more than 5461 at once. */
const BATCH = 500;
const PAGE = 1000;

export interface ChromaRow {
  vector: Float32Array;
  /** Of the vector: tells whether the row has to be sent again. */
  hash: string;
}

/** The collection as this hub uses it. Every method throws what the client throws. */
export interface ChromaCollection {
  /** Which model its vectors are of; undefined when there is no collection, or one that nobody marked. */
  model(): Promise<string | undefined>;
  /** A collection of this model beside the old one, which takes the old one's place once all rows are in it. */
  rebuild(model: string, rows: ReadonlyMap<string, ChromaRow>): Promise<void>;
  /** What is in it: hashes by name. */
  hashes(): Promise<Map<string, string>>;
  upsert(rows: ReadonlyMap<string, ChromaRow>): Promise<void>;
  remove(names: readonly string[]): Promise<void>;
  count(): Promise<number>;
  nearest(vector: Float32Array, count: number): Promise<Map<string, number>>;
}

/** Why a call failed, for whoever searches: the client's own words on a server out of reach are for people who write web pages. */
export function whyFailed(err: unknown): string {
  if (!(err instanceof Error)) return String(err);
  return err.name === 'ChromaConnectionError' ? 'its server does not answer' : err.message;
}

/** Opens the collection of the server at `url`; the server is asked with the first call. */
export async function openChroma(url: string): Promise<ChromaCollection> {
  const { ChromaClient } = await import('chromadb');
  const { hostname, port, protocol } = new URL(url);
  const ssl = protocol === 'https:';
  const client = new ChromaClient({ host: hostname, port: Number(port || (ssl ? 443 : 80)), ssl });
  let current: Collection | undefined;

  const find = async (name: string): Promise<Collection | undefined> => {
    try {
      // The hub brings its own vectors; the default embedding function would download a model.
      return await client.getCollection({ name });
    } catch (err) {
      if (err instanceof Error && err.name === 'ChromaNotFoundError') return undefined;
      throw err;
    }
  };
  const use = async (): Promise<Collection> => {
    current ??= await find(COLLECTION);
    if (current === undefined) throw new Error(`there is no collection ${COLLECTION}`);
    return current;
  };
  const fill = async (collection: Collection, rows: ReadonlyMap<string, ChromaRow>): Promise<void> => {
    const all = [...rows];
    for (let i = 0; i < all.length; i += BATCH) {
      const some = all.slice(i, i + BATCH);
      await collection.upsert({
        ids: some.map(([name]) => name),
        embeddings: some.map(([, { vector }]) => [...vector]),
        metadatas: some.map(([, { hash }]) => ({ hash })),
      });
    }
  };

  return {
    async model() {
      current = await find(COLLECTION);
      const model = current?.metadata?.[MODEL_KEY];
      const space = current?.configuration?.hnsw?.space;
      return typeof model === 'string' && space === 'cosine' ? model : undefined;
    },
    async rebuild(model, rows) {
      if ((await find(BUILDING)) !== undefined) await client.deleteCollection({ name: BUILDING });
      const next = await client.createCollection({
        name: BUILDING,
        embeddingFunction: null,
        metadata: { [MODEL_KEY]: model },
        configuration: { hnsw: { space: 'cosine' } },
      });
      await fill(next, rows);
      if ((await find(COLLECTION)) !== undefined) await client.deleteCollection({ name: COLLECTION });
      await next.modify({ name: COLLECTION });
      current = undefined;
    },
    async hashes() {
      const collection = await use();
      const found = new Map<string, string>();
      for (let offset = 0; ; offset += PAGE) {
        const page = await collection.get({ include: ['metadatas'], limit: PAGE, offset });
        page.ids.forEach((id, i) => {
          found.set(id, String(page.metadatas[i]?.hash));
        });
        if (page.ids.length < PAGE) return found;
      }
    },
    async upsert(rows) {
      await fill(await use(), rows);
    },
    async remove(names) {
      for (let i = 0; i < names.length; i += BATCH) await (await use()).delete({ ids: names.slice(i, i + BATCH) });
    },
    async count() {
      return (await use()).count();
    },
    async nearest(vector, count) {
      const { ids, distances } = await (await use()).query({
        queryEmbeddings: [[...vector]],
        nResults: count,
        include: ['distances'],
      });
      const near = (ids[0] ?? []).map((id, i): [string, number] => [id, 1 - (distances[0]?.[i] ?? 1)]);
      return new Map(near);
    },
  };
}
