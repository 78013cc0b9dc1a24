import type { Role } from '../../contract/roles.ts';
import { chunksOf } from '../chunks.ts';
import type { TokensTable, Tx } from '../tables/index.ts';

export interface TokenRecord {
  id: string;
  name: string;
  roles: Role[];
  machineId: string | null;
  namePattern: string | null;
  createdAt: string;
  expiresAt: string | null;
  lastUsedAt: string | null;
  revokedAt: string | null;
  /** The first of the tokens out of which it was rotated; null for the first. */
  origin: string | null;
}

export interface NewToken {
  id: string;
  name: string;
  /** sha256 of the secret, hex; the secret itself is never stored. */
  hash: string;
  roles: readonly Role[];
  machineId?: string | null;
  namePattern?: string | null;
  createdAt: string;
  expiresAt?: string | null;
  origin?: string | null;
}

function toRecord(row: TokensTable): TokenRecord {
  return {
    id: row.id,
    name: row.name,
    roles: JSON.parse(row.roles) as Role[],
    machineId: row.machine_id,
    namePattern: row.name_pattern,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
    revokedAt: row.revoked_at,
    origin: row.origin,
  };
}

export async function insertToken(tx: Tx, token: NewToken): Promise<void> {
  await tx
    .insertInto('tokens')
    .values({
      id: token.id,
      name: token.name,
      hash: token.hash,
      roles: JSON.stringify(token.roles),
      machine_id: token.machineId ?? null,
      name_pattern: token.namePattern ?? null,
      created_at: token.createdAt,
      expires_at: token.expiresAt ?? null,
      last_used_at: null,
      revoked_at: null,
      origin: token.origin ?? null,
    })
    .execute();
}

/** The token with this secret's sha256, also when it is expired or revoked. */
export async function findTokenByHash(tx: Tx, hash: string): Promise<TokenRecord | undefined> {
  const row = await tx.selectFrom('tokens').selectAll().where('hash', '=', hash).executeTakeFirst();
  return row === undefined ? undefined : toRecord(row);
}

export async function findTokenById(tx: Tx, id: string): Promise<TokenRecord | undefined> {
  const row = await tx.selectFrom('tokens').selectAll().where('id', '=', id).executeTakeFirst();
  return row === undefined ? undefined : toRecord(row);
}

/** Whether a token that holds at this time has the role admin. */
export async function hasAdminToken(tx: Tx, at: string): Promise<boolean> {
  const row = await tx
    .selectFrom('tokens')
    .select('id')
    .where('revoked_at', 'is', null)
    .where('roles', 'like', '%"admin"%')
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', at)]))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** All tokens, oldest first. */
export async function listTokens(tx: Tx): Promise<TokenRecord[]> {
  const rows = await tx.selectFrom('tokens').selectAll().orderBy('created_at').orderBy('id').execute();
  return rows.map(toRecord);
}

/** @returns false when there is no such token or it was revoked before */
export async function revokeToken(tx: Tx, id: string, at: string): Promise<boolean> {
  const done = await tx
    .updateTable('tokens')
    .set({ revoked_at: at })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  return done.numUpdatedRows > 0n;
}

/** The tokens that hold at this time and stem from the same one by rotation, oldest first, without this one. */
export async function tokensOfFamily(tx: Tx, { id, origin }: TokenRecord, at: string): Promise<string[]> {
  const first = origin ?? id;
  const rows = await tx
    .selectFrom('tokens')
    .select('id')
    .where('id', '!=', id)
    .where((eb) => eb.or([eb('id', '=', first), eb('origin', '=', first)]))
    .where('revoked_at', 'is', null)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', at)]))
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  return rows.map((row) => row.id);
}

/** Revokes every token of a machine. */
export async function revokeMachineTokens(tx: Tx, machineId: string, at: string): Promise<void> {
  await tx
    .updateTable('tokens')
    .set({ revoked_at: at })
    .where('machine_id', '=', machineId)
    .where('revoked_at', 'is', null)
    .execute();
}

/** Notes that a token was used; call it rarely (it is a write). */
export async function touchTokens(tx: Tx, ids: Iterable<string>, at: string): Promise<void> {
  for (const chunk of chunksOf(ids)) {
    await tx.updateTable('tokens').set({ last_used_at: at }).where('id', 'in', chunk).execute();
  }
}
