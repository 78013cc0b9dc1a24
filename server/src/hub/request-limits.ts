import type { HubLimits } from './config.ts';
import type { Principal } from './context.ts';
import { createRateLimit } from './rate-limit.ts';

/** How many requests a caller may make, by address before anybody is asked who it is, and by token. */
export interface RequestLimits {
  /** @throws HaiveError RATE_LIMITED */
  address(key: string): void;
  /** @throws HaiveError RATE_LIMITED */
  token(principal: Principal): void;
}

export function createRequestLimits(limits: HubLimits, now: () => number): RequestLimits {
  const byAddress = createRateLimit(limits.addressRequests, 'this address', now);
  const byToken = createRateLimit(limits.tokenRequests, 'this token', now);
  const byMachine = createRateLimit(limits.machineRequests, "this machine's token", now);
  return {
    address: (key) => byAddress.take(key),
    // Whoever acts for one machine asks little; a join token or an operator may act for a whole fleet at once.
    token: ({ tokenId, machineId }) => (machineId === null ? byToken : byMachine).take(tokenId),
  };
}
