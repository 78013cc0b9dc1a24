import type { BodyIn } from '../contract/endpoints.ts';
import { HaiveError } from '../domain/errors.ts';
import { checkGroupPattern, namePatterns } from '../domain/names.ts';
import { machineKeyOf } from '../storage/queries/machine-keys.ts';
import {
  findTokenByHash,
  findTokenById,
  hasAdminToken,
  insertToken,
  listTokens,
  revokeToken as revoke,
  type TokenRecord,
  tokensOfFamily,
} from '../storage/queries/tokens.ts';
import type { Tx } from '../storage/tables/index.ts';
import type { StoredToken } from './auth.ts';
import { change } from './change.ts';
import type { HubContext, Principal, UseCase } from './context.ts';
import { hubFacts } from './identity.ts';
import { hashSecret, newId, newSecret } from './secrets.ts';
import { findLimits, putLimits } from './trust/token-limits.ts';

const DAY_MS = 24 * 3600_000;

/** The token with this hash as the authenticator wants it. */
export async function findStoredToken(tx: Tx, hash: string): Promise<StoredToken | null> {
  const token = await findTokenByHash(tx, hash);
  if (token === undefined) return null;
  const { id: tokenId, name, roles, machineId, namePattern, expiresAt, revokedAt } = token;
  const origin = token.origin ?? tokenId;
  const machineKey = machineId === null ? undefined : await machineKeyOf(tx, machineId);
  const principal = { tokenId, origin, name, roles, machineId, machineKey, namePattern, expiresAt };
  return { principal, expiresAt, revokedAt };
}

/**
 * Makes a token and answers its secret, the only time that anybody sees it.
 * @throws HaiveError BAD_REQUEST for the role machine, which only join gives; NAME_INVALID for a pattern that no plugin's or group's name fits
 */
export async function mintToken(
  hub: HubContext,
  by: Pick<Principal, 'name' | 'tokenId'>,
  wish: BodyIn<'createToken'>,
): Promise<TokenRecord & { token: string }> {
  const { name, expires_in_days, name_pattern } = wish;
  const roles = [...new Set(wish.roles)];
  if (roles.includes('machine')) {
    throw new HaiveError('BAD_REQUEST', 'Field roles: a machine gets its token by joining, not from here');
  }
  if (wish.max_uses !== undefined && !roles.every((role) => role === 'join')) {
    throw new HaiveError('BAD_REQUEST', 'Field max_uses: only a token that joins machines is counted');
  }
  for (const group of wish.groups ?? []) checkGroupPattern(group);
  const secret = newSecret();
  const { result } = await change(hub, by, async ({ tx, at }) => {
    const record: TokenRecord = {
      id: newId('token'),
      name,
      roles,
      machineId: null,
      namePattern: name_pattern === undefined ? null : namePatterns(name_pattern).join(','),
      createdAt: at,
      expiresAt:
        expires_in_days === undefined ? null : new Date(Date.parse(at) + expires_in_days * DAY_MS).toISOString(),
      lastUsedAt: null,
      revokedAt: null,
      origin: null,
    };
    await insertToken(tx, { ...record, hash: hashSecret(secret) });
    if (wish.max_uses !== undefined || wish.groups !== undefined) {
      await putLimits(tx, record.id, { maxUses: wish.max_uses ?? null, groups: wish.groups ?? null });
    }
    return { result: record, trace: { type: 'token.created', target: record.id, data: { name, roles } } };
  });
  return { ...result, token: secret };
}

/**
 * @returns `lastAdmin` true when no token administers this hub any more; `also` the tokens with the same right that still hold: those it
 * was rotated into, perhaps by whoever stole it, or out of
 * @throws HaiveError TOKEN_NOT_FOUND when there is none, or it was revoked before
 */
export async function dropToken(
  hub: HubContext,
  by: Pick<Principal, 'name' | 'tokenId'>,
  id: string,
): Promise<{ lastAdmin: boolean; also: string[] }> {
  const { result } = await change(hub, by, async ({ tx, at }) => {
    const had = await hasAdminToken(tx, at);
    if (!(await revoke(tx, id, at))) {
      throw new HaiveError('TOKEN_NOT_FOUND', `No valid token has the id ${id}`);
    }
    const token = await findTokenById(tx, id);
    const also = token === undefined ? [] : await tokensOfFamily(tx, token, at);
    return {
      result: { lastAdmin: had && !(await hasAdminToken(tx, at)), also },
      trace: { type: 'token.revoked', target: id, data: { tokens: [id] } },
    };
  });
  return result;
}

/**
 * A new secret with the same rights and end; the old one ends after the grace time, or at its own end if that is sooner.
 * @throws HaiveError TOKEN_NOT_FOUND when it ended meanwhile
 */
export const rotateToken: UseCase<'rotateToken'> = async (hub, call) => {
  const { tokenId } = call.principal;
  const secret = newSecret();
  const { result } = await change(hub, call.principal, async ({ tx, at }) => {
    const old = await findTokenById(tx, tokenId);
    if (old === undefined || old.revokedAt !== null) throw new HaiveError('TOKEN_NOT_FOUND', 'This token has ended');
    const origin = old.origin ?? old.id;
    const record: TokenRecord = { ...old, id: newId('token'), createdAt: at, lastUsedAt: null, origin };
    await insertToken(tx, { ...record, hash: hashSecret(secret) });
    const limits = await findLimits(tx, tokenId);
    if (limits !== undefined) await putLimits(tx, record.id, limits);
    const ends = new Date(Date.parse(at) + call.body.grace_minutes * 60_000).toISOString();
    const endsAt = old.expiresAt !== null && old.expiresAt < ends ? old.expiresAt : ends;
    await tx.updateTable('tokens').set({ expires_at: endsAt }).where('id', '=', tokenId).execute();
    const data = { from: tokenId, to: record.id, old_ends: endsAt };
    return { result: record, trace: { type: 'token.rotated', target: tokenId, data } };
  });
  return { ...tokenRow(result), token: secret };
};

/** A token as the contract shows it. */
export function tokenRow(token: TokenRecord) {
  return {
    id: token.id,
    name: token.name,
    roles: token.roles,
    created_at: token.createdAt,
    expires_at: token.expiresAt,
    last_used_at: token.lastUsedAt,
    revoked_at: token.revokedAt,
  };
}

export const createToken: UseCase<'createToken'> = async (hub, call) => {
  const made = await mintToken(hub, call.principal, call.body);
  return { ...tokenRow(made), token: made.token };
};

export const tokens: UseCase<'tokens'> = async (hub) => ({
  tokens: (await listTokens(hub.store.read)).map(tokenRow),
});

export const revokeToken: UseCase<'revokeToken'> = async (hub, call) => {
  const { lastAdmin, also } = await dropToken(hub, call.principal, call.params.token ?? '');
  return { ok: true, last_admin: lastAdmin, ...(also.length === 0 ? {} : { also }) };
};

export const whoami: UseCase<'whoami'> = async (hub, call) => {
  const { tokenId: id, name, roles, machineId } = call.principal;
  return {
    token: { id, name, roles: [...roles] },
    machine: machineId === null ? null : { id: machineId, name },
    hub: await hubFacts(hub),
  };
};
