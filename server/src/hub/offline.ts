import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { BodyIn } from '../contract/endpoints.ts';
import { HaiveError } from '../domain/errors.ts';
import { restore } from '../storage/backup.ts';
import { listTokens } from '../storage/queries/tokens.ts';
import { type BackupSize, databaseOf, openStore, type Store } from '../storage/store.ts';
import type { HubConfig } from './config.ts';
import type { HubContext } from './context.ts';
import { makeDataFolder } from './data-folder.ts';
import { loadIdentity } from './identity.ts';
import { createLog } from './log.ts';
import { dropToken, mintToken, tokenRow } from './tokens.ts';

/** What is done straight on the database, by whoever may read its file, with or without a hub running. */
const OPERATOR = { name: 'hub command line', tokenId: '' };

/** @param mustExist false makes the registry where there is none */
async function withStore<T>(config: HubConfig, work: (store: Store) => Promise<T>, mustExist = true): Promise<T> {
  const { dataDir, databaseUrl } = config;
  if (!mustExist && databaseUrl === undefined) await makeDataFolder(dataDir);
  const store = await openStore({ dataDir, databaseUrl, mustExist, clock: () => new Date() });
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

/**
 * @returns which database was read, and how much was written
 * @throws HaiveError DATABASE_UNAVAILABLE (also where there is no registry), PATH_OCCUPIED, IO_ERROR, DISK_FULL, READ_ONLY
 */
export function backupTo(config: HubConfig, file: string): Promise<BackupSize & { file: string; database: string }> {
  return withStore(config, async (store) => {
    const database = databaseOf(config);
    if (store.dialect === 'sqlite') await refuseOwnFile(file, database);
    return { file, database, ...(await store.backup(file)) };
  });
}

/** A backup takes the place of what was there, which must not be the registry itself. */
async function refuseOwnFile(file: string, database: string): Promise<void> {
  const there = await stat(file).catch(() => undefined);
  for (const own of [database, `${database}-wal`, `${database}-shm`]) {
    const found = await stat(own).catch(() => undefined);
    const same = there !== undefined && found !== undefined && there.dev === found.dev && there.ino === found.ino;
    if (!same && resolve(file) !== own) continue;
    throw new HaiveError('PATH_OCCUPIED', `${file} belongs to the registry that is to be saved`, {
      hint: 'Give the backup another name.',
    });
  }
}

/** @throws HaiveError BACKUP_INVALID (also where there is no such file; nothing is made then), PATH_OCCUPIED */
export async function restoreFrom(config: HubConfig, file: string): Promise<{ file: string; rows: number }> {
  if ((await stat(file).catch(() => undefined)) === undefined) {
    throw new HaiveError('BACKUP_INVALID', `There is no file ${resolve(file)}`, {
      hint: 'Name the backup to restore.',
    });
  }
  return withStore(config, async (store) => ({ file, ...(await restore(file, store)) }), false);
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
export function revokeTokenOffline(config: HubConfig, id: string): ReturnType<typeof dropToken> {
  return withHub(config, (hub) => dropToken(hub, OPERATOR, id));
}
