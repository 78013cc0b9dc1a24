import type { Endpoint } from '../contract/endpoints.ts';
import type { Role } from '../contract/roles.ts';
import { HaiveError } from '../domain/errors.ts';
import type { Principal } from './context.ts';
import { createFailureLimit, createRateLimit, limited } from './rate-limit.ts';
import { hashSecret, looksLikeSecret } from './secrets.ts';
import type { SeqGate } from './seq-gate.ts';

/** A token as the database has it; null when none has this hash. */
export type FindToken = (hash: string) => Promise<StoredToken | null>;

export interface StoredToken {
  principal: Principal;
  expiresAt: string | null;
  revokedAt: string | null;
}

export interface Authenticator {
  /**
   * Who sent this Authorization header.
   * @throws HaiveError UNAUTHENTICATED, TOKEN_INVALID, RATE_LIMITED (details.retry_after_s)
   */
  authenticate(authorization: string | undefined, address: string): Promise<Principal>;
  /** Who sent it, if that was known at this stamp; null says only that `authenticate` must look. */
  recall(authorization: string | undefined, stamp: string): Principal | null;
}

const MAX_CACHED = 100_000;
/** Tokens that are looked up for an address that waits. */
const SPARE_LOOKUPS = { perSecond: 5, burst: 20 };

/**
 * Tokens are looked up by hash and remembered until the stamp of `gate` moves: every change of a token moves it, so
 * that a revocation holds from the next request on, in every process.
 */
export function createAuthenticator(
  find: FindToken,
  gate: SeqGate,
  clock: () => Date,
  failuresPerMinute: number,
): Authenticator {
  const now = () => clock().getTime();
  const limit = createFailureLimit(failuresPerMinute, now);
  const spare = createRateLimit(SPARE_LOOKUPS, 'this address', now);
  const hasSpare = (address: string): boolean => {
    try {
      spare.take(address);
      return true;
    } catch {
      return false;
    }
  };
  let known = new Map<string, { stamp: string; token: StoredToken }>();

  async function lookUp(hash: string): Promise<StoredToken | null> {
    const stamp = await gate.current();
    const cached = known.get(hash);
    if (cached?.stamp === stamp) return cached.token;
    const token = await find(hash);
    if (token === null) {
      known.delete(hash);
      return null;
    }
    if (known.size >= MAX_CACHED) known = new Map();
    known.set(hash, { stamp, token });
    return token;
  }

  return {
    recall(authorization, stamp) {
      const secret = /^Bearer (\S+)$/.exec(authorization ?? '')?.[1];
      const cached = secret === undefined ? undefined : known.get(hashSecret(secret));
      return cached?.stamp === stamp && whyRefused(cached.token, clock()) === null ? cached.token.principal : null;
    },
    async authenticate(authorization, address) {
      const secret = bearer(authorization);
      const hash = hashSecret(secret);
      const wait = known.has(hash) ? 0 : limit.waitSeconds(address);
      // While an address waits its neighbours may still come in with a token that holds; a few guesses a second find none.
      if (wait > 0 && !(looksLikeSecret(secret) && hasSpare(address))) throw tooManyFailures(wait);
      const token = looksLikeSecret(secret) ? await lookUp(hash) : null;
      const refusal = token === null ? 'The token is unknown' : whyRefused(token, clock());
      if (token !== null && refusal === null) return token.principal;
      if (wait > 0) throw tooManyFailures(wait);
      // Whoever shows a token that has ended guesses nothing.
      if (token === null) limit.fail(address);
      throw new HaiveError('TOKEN_INVALID', refusal ?? 'The token is unknown');
    },
  };
}

function bearer(authorization: string | undefined): string {
  if (authorization === undefined || authorization === '') {
    throw new HaiveError('UNAUTHENTICATED', 'This address needs a token');
  }
  const match = /^Bearer +(\S+)$/i.exec(authorization);
  if (match?.[1] === undefined) {
    throw new HaiveError('UNAUTHENTICATED', 'The Authorization header is not of the form `Bearer TOKEN`');
  }
  return match[1];
}

function whyRefused(token: StoredToken, now: Date): string | null {
  if (token.revokedAt !== null) return 'The token was revoked';
  if (token.expiresAt !== null && token.expiresAt <= now.toISOString()) return 'The token has expired';
  return null;
}

const tooManyFailures = (seconds: number): HaiveError => limited('Too many failed attempts from this address', seconds);

/** @throws HaiveError FORBIDDEN when none of the principal's roles opens the endpoint */
export function requireAccess(principal: Principal, endpoint: Pick<Endpoint, 'access' | 'summary'>): void {
  if (endpoint.access === 'public') return;
  if (mayUse(principal.roles, endpoint.access)) return;
  const needed = ['admin', ...endpoint.access.filter((role) => role !== 'admin')];
  throw new HaiveError(
    'FORBIDDEN',
    `This needs the role ${needed.join(' or ')}; the token has ${principal.roles.join(', ')}`,
    {
      details: { needs: needed, has: [...principal.roles] },
    },
  );
}

/** True when one of the roles is among those allowed; admin may everything. */
export function mayUse(roles: readonly Role[], access: readonly Role[]): boolean {
  return roles.some((role) => role === 'admin' || access.includes(role));
}

/** True for a principal that acts for the whole collective, not for one machine. */
export function isOperator(principal: Principal): boolean {
  return mayUse(principal.roles, ['operator']);
}

/**
 * A machine's token reaches only its own machine. Operators and readers reach any.
 * @throws HaiveError FORBIDDEN
 */
export function requireSelf(principal: Principal, machineId: string | undefined): void {
  if (mayUse(principal.roles, ['operator', 'reader'])) return;
  if (principal.machineId !== null && principal.machineId === machineId) return;
  throw new HaiveError('FORBIDDEN', "A machine's token reaches only its own machine");
}
