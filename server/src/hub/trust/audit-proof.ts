import { proveAudit } from '../../storage/queries/audit.ts';
import type { UseCase } from '../context.ts';

/** Reads the whole log and computes every hash again. */
export const auditVerify: UseCase<'auditVerify'> = async (hub) => {
  const proof = await hub.store.snapshot((tx) => proveAudit(tx));
  return { ok: proof.brokenAt === null, rows: proof.rows, broken_at: proof.brokenAt, head: proof.head };
};
