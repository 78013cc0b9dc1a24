import type { UseCases } from '../context.ts';
import { rotateToken } from '../tokens.ts';
import { approve } from './approvals.ts';
import { auditVerify } from './audit-proof.ts';
import { keys, revokeKey, rotateKey, setEpoch } from './keys.ts';
import { setQuorum } from './quorums.ts';
import { reject, reviews } from './review.ts';
import { revocations, revoke } from './revoke.ts';
import { surface } from './show-surface.ts';

/** The use cases of trust: what a version can do, who allowed it, and taking it back. */
export const trustUseCases = {
  approve,
  auditVerify,
  keys,
  reject,
  reviews,
  revocations,
  revoke,
  revokeKey,
  rotateKey,
  rotateToken,
  setEpoch,
  setQuorum,
  surface,
} satisfies Partial<UseCases>;
