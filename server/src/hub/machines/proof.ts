import { HaiveError } from '../../domain/errors.ts';
import { PROOF_HEADER, whyNoProof } from '../../domain/signing/machine-proof.ts';
import type { Principal } from '../context.ts';

interface Asked {
  method: string;
  url: string;
  headers: Record<string, string | string[] | undefined>;
}

const SAYS = { malformed: 'is not of its form', stale: 'is of another time', wrong: 'does not hold' };

/**
 * Whether a request shows that it comes from the machine that its token was made for: always where that machine has no key, or the token
 * is none of a machine's.
 * @returns false for one without a proof: it may learn that nothing changed, and no more
 * @throws HaiveError PROOF_INVALID for one whose proof does not hold
 */
export function isProven(principal: Principal, asked: Asked, now: Date): boolean {
  const { machineKey } = principal;
  if (machineKey === undefined) return true;
  return holdsProof(machineKey, asked, now);
}

/** The same for a key that is not the principal's. @throws HaiveError PROOF_INVALID */
export function holdsProof(publicKey: string, { method, url, headers }: Asked, now: Date): boolean {
  const proof = headers[PROOF_HEADER];
  const token = /^Bearer +(\S+)$/i.exec(String(headers.authorization ?? ''))?.[1] ?? '';
  const why = whyNoProof(publicKey, { method, path: url, token }, Array.isArray(proof) ? proof[0] : proof, now);
  if (why === 'missing') return false;
  if (why === null) return true;
  throw new HaiveError('PROOF_INVALID', `The proof of the machine's key ${SAYS[why]}`, {
    details: { why, hub_time: now.toISOString() },
  });
}

/** @param now what a machine whose clock is wrong should sign with */
export function proofMissing(now: Date): HaiveError {
  return new HaiveError('PROOF_REQUIRED', 'This machine has a key, and the request is not signed with it', {
    details: { hub_time: now.toISOString() },
  });
}
