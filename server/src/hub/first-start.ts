import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { errnoOf, HaiveError } from '../domain/errors.ts';
import { getMeta, setMeta } from '../storage/queries/meta.ts';
import { findTokenByHash, findTokenById, insertToken, type TokenRecord } from '../storage/queries/tokens.ts';
import type { HubContext } from './context.ts';
import { hashSecret, newId, newSecret } from './secrets.ts';
import { dropToken, mintToken } from './tokens.ts';

/** Who acts when the hub itself does something. */
export const HUB_ITSELF = { name: 'hub', tokenId: '' };

/**
 * The first admin token of a database, made once; null at every later start, also of another hub on it.
 * Who lost it makes another with `hv hub token create`.
 */
export async function firstAdminToken(hub: HubContext): Promise<string | null> {
  if ((await getMeta(hub.store.read, 'admin_token_made')) !== undefined) return null;
  const secret = newSecret();
  return hub.store.transact(async (tx) => {
    await hub.store.lockSeq(tx);
    if ((await getMeta(tx, 'admin_token_made')) !== undefined) return null;
    const createdAt = hub.clock().toISOString();
    await insertToken(tx, {
      id: newId('token'),
      name: 'first admin',
      hash: hashSecret(secret),
      roles: ['admin'],
      createdAt,
    });
    await setMeta(tx, 'admin_token_made', createdAt);
    return secret;
  });
}

/** What hub.json holds: tools on this host find the hub by it. */
export interface HubFile {
  url: string;
  /** May join and publish, never administer. */
  token: string;
}

/**
 * Writes `$HAIVEMIND_HOME/hub.json` (0600) with a token that may join and publish: the one that is there while it
 * still holds, else a new one in its place.
 * @throws HaiveError READ_ONLY, IO_ERROR
 */
export async function writeHubFile(hub: HubContext, url: string): Promise<HubFile> {
  const file = join(hub.config.home, 'hub.json');
  const kept = await keptToken(hub, file);
  const token = kept ?? (await newHostToken(hub));
  const content: HubFile = { url, token };
  const temporary = `${file}.${process.pid}.${newId('new')}`;
  try {
    await mkdir(hub.config.home, { recursive: true, mode: 0o700 });
    await writeFile(temporary, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600, flush: true });
    await rename(temporary, file);
  } catch (cause) {
    await rm(temporary, { force: true });
    const code = errnoOf(cause) === 'EACCES' ? 'READ_ONLY' : 'IO_ERROR';
    throw new HaiveError(code, `${file} cannot be written`, { cause });
  }
  return content;
}

async function keptToken(hub: HubContext, file: string): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    return undefined;
  }
  const secret = parseToken(text);
  if (secret === undefined) return undefined;
  const token = await findTokenByHash(hub.store.read, hashSecret(secret));
  return token !== undefined && mayJoinAndPublish(token, hub.clock()) ? secret : undefined;
}

function parseToken(text: string): string | undefined {
  try {
    const { token } = JSON.parse(text) as { token?: unknown };
    return typeof token === 'string' ? token : undefined;
  } catch {
    return undefined;
  }
}

function mayJoinAndPublish(token: TokenRecord, now: Date): boolean {
  const valid = token.revokedAt === null && (token.expiresAt === null || token.expiresAt > now.toISOString());
  return valid && token.roles.includes('join') && token.roles.includes('publisher');
}

/** One such token a host and HOME: what hub.json held before is of no use to anybody any more. */
async function newHostToken(hub: HubContext): Promise<string> {
  const key = `host_token:${hostname()}:${hub.config.home}`;
  const before = await getMeta(hub.store.read, key);
  const made = await mintToken(hub, HUB_ITSELF, {
    name: `hub.json on ${hostname()}`.slice(0, 64),
    roles: ['join', 'publisher'],
  });
  await hub.store.transact((tx) => setMeta(tx, key, made.id));
  const old = before === undefined ? undefined : await findTokenById(hub.store.read, before);
  if (old !== undefined && old.revokedAt === null) await dropToken(hub, HUB_ITSELF, old.id);
  return made.token;
}
