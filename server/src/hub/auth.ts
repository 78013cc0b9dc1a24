import type { Endpoint } from '../contract/endpoint.ts';
import { mayUse } from '../contract/roles.ts';
import { HaiveError } from '../domain/errors.ts';
import type { Stamp } from '../storage/store.ts';
import type { Principal } from './context.ts';
import { createFailureLimit, createRateLimit, limited, type RateLimit } from './http/rate-limit.ts';
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
  /** Who sent it, if that was known at this stamp's seq; null says only that `authenticate` must look. */
  recall(authorization: string | undefined, stamp: Stamp): Principal | null;
}

const MAX_CACHED = 100_000;
/** Unknown tokens that are still looked up for an address that waits: at a look-up each, a hub does not feel them. */
const SPARE_LOOKUPS = { perSecond: 200, burst: 2000 };

/**
 * Tokens are looked up by hash and remembered until seq moves: every change of a token moves it, so that a revocation holds from
 * the next request on, in every process.
 *
 * A token that holds uses up nothing of its address, neither requests nor failures, and comes in while the address waits: ten thousand
 * machines behind one address come back after a restart, also where somebody beside them guesses or floods.
 * @param requests what an address may ask without a token that holds
 */
export function createAuthenticator(
  find: FindToken,
  gate: SeqGate,
  clock: () => Date,
  failuresPerMinute: number,
  requests: RateLimit,
): Authenticator {
  const now = () => clock().getTime();
  const failures = createFailureLimit(failuresPerMinute, now);
  const spare = createRateLimit(SPARE_LOOKUPS, 'this address', now);
  let known = new Map<string, { seq: number; token: StoredToken }>();

  async function lookUp(hash: string): Promise<StoredToken | null> {
    const { seq } = await gate.current();
    const cached = known.get(hash);
    if (cached?.seq === seq) return cached.token;
    const token = await find(hash);
    if (token === null) {
      known.delete(hash);
      return null;
    }
    if (known.size >= MAX_CACHED) known = new Map();
    known.set(hash, { seq, token });
    return token;
  }

  return {
    recall(authorization, stamp) {
      const secret = secretOf(authorization);
      const cached = secret === null ? undefined : known.get(hashSecret(secret));
      return cached?.seq === stamp.seq && whyRefused(cached.token, clock()) === null ? cached.token.principal : null;
    },
    async authenticate(authorization, address) {
      const secret = secretOf(authorization);
      const hash = secret === null ? '' : hashSecret(secret);
      // No guess, and its own limit is enough, or it has ended and uses up the address's requests below.
      const met = known.has(hash);
      const mayBeOne = secret !== null && looksLikeSecret(secret);
      const failed = met ? 0 : failures.waitSeconds(address);
      const asked = met ? 0 : requests.waitSeconds(address);
      const waits = failed > 0 || asked > 0;
      if (waits && !(mayBeOne && spare.waitSeconds(address) === 0)) throw mustWait(failed, asked);
      const token = mayBeOne ? await lookUp(hash) : null;
      const refusal = token === null ? 'The token is unknown' : whyRefused(token, clock());
      if (token !== null && refusal === null) return token.principal;
      (waits ? spare : requests).take(address);
      if (waits) throw mustWait(failed, asked);
      if (secret === null) throw notShown(authorization);
      // Whoever shows a token that has ended guesses nothing.
      if (token === null) failures.fail(address);
      throw new HaiveError('TOKEN_INVALID', refusal ?? 'The token is unknown');
    },
  };
}

const BEARER = /^Bearer +(\S+)$/i;

const secretOf = (authorization: string | undefined): string | null => BEARER.exec(authorization ?? '')?.[1] ?? null;

const notShown = (authorization: string | undefined): HaiveError =>
  new HaiveError(
    'UNAUTHENTICATED',
    authorization === undefined || authorization === ''
      ? 'This address needs a token'
      : 'The Authorization header is not of the form `Bearer TOKEN`',
  );

function whyRefused(token: StoredToken, now: Date): string | null {
  if (token.revokedAt !== null) return 'The token was revoked';
  if (token.expiresAt !== null && token.expiresAt <= now.toISOString()) return 'The token has expired';
  return null;
}

const mustWait = (failed: number, asked: number): HaiveError =>
  failed > 0
    ? limited('Too many failed attempts from this address', failed)
    : limited('Too many requests from this address', asked);

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
      hint: 'Use a token with a role that the message names.',
    },
  );
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
