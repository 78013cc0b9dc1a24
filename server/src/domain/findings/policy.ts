import * as z from 'zod';
import type { Finding } from './index.ts';

/** Finding code → severity, or `off`: what an operator or author makes of findings. */
export const FindingPolicy = z.record(
  z.string().regex(/^[A-Z][A-Z0-9_]*$/),
  z.enum(['error', 'warning', 'note', 'off']),
);
export type FindingPolicy = z.infer<typeof FindingPolicy>;

/**
 * Findings under a policy. A policy raises and lowers; only an error, which says that something does not work, stays one.
 */
export function applyPolicy(findings: readonly Finding[], policy: FindingPolicy): Finding[] {
  return findings.flatMap((finding): Finding[] => {
    const wanted = Object.hasOwn(policy, finding.code) ? policy[finding.code] : undefined;
    if (wanted === undefined || finding.severity === 'error') return [finding];
    return wanted === 'off' ? [] : [{ ...finding, severity: wanted }];
  });
}
