import type { HubLimits } from '../config.ts';
import type { Principal } from '../context.ts';
import { createRateLimit, type RateLimit } from './rate-limit.ts';

/** How many requests a caller may make: who shows a token that holds by that token, all others by their address. */
export interface RequestLimits {
  /** Of those without a token that holds: thousands of machines may share an address with somebody who floods. */
  address: RateLimit;
  /** @throws HaiveError RATE_LIMITED */
  token(principal: Principal): void;
}

export function createRequestLimits(limits: HubLimits, now: () => number): RequestLimits {
  const byToken = createRateLimit(limits.tokenRequests, 'this token', now);
  const byMachine = createRateLimit(limits.machineRequests, "this machine's token", now);
  return {
    address: createRateLimit(limits.addressRequests, 'this address', now),
    // Whoever acts for one machine asks little; a join token or an operator may act for a whole fleet at once.
    token: ({ tokenId, machineId }) => (machineId === null ? byToken : byMachine).take(tokenId),
  };
}
