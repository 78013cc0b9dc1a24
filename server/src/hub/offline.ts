import type { BodyIn } from '../contract/endpoints.ts';
import { restore } from '../storage/backup.ts';
import { openStore, type Store } from '../storage/store.ts';
import { listTokens } from '../storage/token-queries.ts';
import type { HubConfig } from './config.ts';
import type { HubContext } from './context.ts';
import { loadIdentity } from './identity.ts';
import { createLog } from './log.ts';
import { dropToken, mintToken, tokenRow } from './tokens.ts';

/** What is done straight on the database, by whoever may read its file, with or without a hub running. */
const OPERATOR = { name: 'hub command line', tokenId: '' };

async function withStore<T>(config: HubConfig, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore({ dataDir: config.dataDir, databaseUrl: config.databaseUrl, clock: () => new Date() });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** A context without a bell: running hubs hear of the commit from the database. */
async function withHub<T>(config: HubConfig, work: (hub: HubContext) => Promise<T>): Promise<T> {
  return withStore(config, async (store) => {
    const bell = { ring: () => {}, progress: () => {} };
    const identity = await loadIdentity(store);
    return work({ store, config, identity, clock: store.clock, log: createLog('warn'), bell });
  });
}

/** @throws HaiveError DATABASE_UNAVAILABLE, IO_ERROR */
export function backupTo(config: HubConfig, file: string): Promise<{ file: string }> {
  return withStore(config, async (store) => {
    await store.backup(file);
    return { file };
  });
}

/** @throws HaiveError BACKUP_INVALID, PATH_OCCUPIED */
export function restoreFrom(config: HubConfig, file: string): Promise<{ file: string; rows: number }> {
  return withStore(config, async (store) => ({ file, ...(await restore(file, store)) }));
}

export function createTokenOffline(config: HubConfig, wish: BodyIn<'createToken'>) {
  return withHub(config, async (hub) => {
    const made = await mintToken(hub, OPERATOR, wish);
    return { ...tokenRow(made), token: made.token };
  });
}

export function listTokensOffline(config: HubConfig) {
  return withStore(config, async (store) => (await listTokens(store.read)).map(tokenRow));
}

/** @throws HaiveError TOKEN_NOT_FOUND */
export function revokeTokenOffline(config: HubConfig, id: string): Promise<void> {
  return withHub(config, (hub) => dropToken(hub, OPERATOR, id));
}
