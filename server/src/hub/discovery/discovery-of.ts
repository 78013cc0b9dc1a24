import type { Store } from '../../storage/store.ts';
import type { HubContext } from '../context.ts';
import { openChroma } from './chroma.ts';
import { ChromaService } from './chroma-service.ts';
import { Discovery } from './discovery.ts';
import { type Embedder, endpointEmbedder } from './embedder.ts';
import { onnxEmbedder } from './onnx-embedder.ts';

const discoveries = new WeakMap<Store, Discovery>();

/** The one search of this hub process. */
export function discoveryOf(hub: Pick<HubContext, 'store' | 'log' | 'config'>): Discovery {
  let discovery = discoveries.get(hub.store);
  if (discovery === undefined) {
    const { chromaUrl, embeddings } = hub.config;
    const service = chromaUrl === undefined ? undefined : new ChromaService(() => openChroma(chromaUrl), hub.log);
    discovery = new Discovery(hub.store, hub.log, service, embedderOf(embeddings));
    discoveries.set(hub.store, discovery);
  }
  return discovery;
}

/** Ends its background work; before the store is closed. */
export async function closeDiscovery(store: Store): Promise<void> {
  await discoveries.get(store)?.close();
}

function embedderOf(embeddings: HubContext['config']['embeddings']): Embedder | undefined {
  if (embeddings === undefined) return undefined;
  return 'folder' in embeddings ? onnxEmbedder(embeddings) : endpointEmbedder(embeddings);
}
