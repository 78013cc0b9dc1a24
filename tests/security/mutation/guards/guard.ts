// Every check that security rests on, as data: what it is, the text that does it, what stands there when it is taken out, and the
// tests that must notice. `mutate.mjs` takes them out one by one; each room of the source has its list beside this file.

export interface Guard {
  /** What it keeps out. */
  check: string;
  /** Below server/src. */
  file: string;
  /** Stands exactly once in the file. */
  find: string;
  /** What is left when the check is gone. */
  put: string;
  /** Test files of which at least one must fail. */
  tests: readonly string[];
}

type Row = readonly [check: string, find: string, put?: string];
/** Rows of one source file. @param tests files of tests that guard all of them */
export const of = (file: string, tests: string | readonly string[], rows: readonly Row[]): Guard[] =>
  rows.map(([check, find, put = '']) => ({
    check,
    file,
    find,
    put,
    tests: typeof tests === 'string' ? [tests] : tests,
  }));

export const DOMAIN = 'server/src/domain';
export const ATTACKS = 'tests/security/attacks.test.ts';
export const MACHINE = 'tests/security/machine-attacks.test.ts';
export const LOOSE = 'tests/machine/loose-parts.test.ts';
export const LIES = 'tests/security/taken-over-hub.test.ts';
export const TRUST = 'tests/security/machine-trust.test.ts';
export const POLICY = 'tests/security/machine-policy.test.ts';
export const REVOCATION = 'tests/security/machine-revocation.test.ts';
export const WIRE = 'tests/security/wire-attacks.test.ts';
export const DODGES = 'tests/security/dodges.test.ts';
export const HUB = 'tests/security/hub-trust.test.ts';
export const FIRST = 'tests/security/first-surface.test.ts';
export const LIMITS = 'tests/security/rate-limits.test.ts';
export const KEYS = 'tests/hub/machine-key.test.ts';
export const HISTORY = 'tests/machine/audit-log.test.ts';
export const REVIEW = 'tests/security/review.test.ts';
export const QUORUM = 'tests/security/quorum.test.ts';
export const APPROVAL_GROUPS = 'tests/security/approval-groups.test.ts';
export const HELD = 'tests/security/held-versions.test.ts';
export const FAILED = 'tests/machine/failed-attempts.test.ts';
export const TLS = 'tests/cli/tls-required.test.ts';
export const AUDITED = 'tests/security/audit-complete.test.ts';
export const UNPUBLISHED = 'tests/hub/unpublished.test.ts';
export const TOLD = 'tests/hub/told-events.test.ts';
export const FOUND = 'tests/discovery/search-rights.test.ts';
export const PUBLISH = 'tests/contract/registry/publish.test.ts';
export const USAGE = 'tests/discovery/usage-of-hub.test.ts';
export const RESTORED = 'tests/distribution/restored-hub.test.ts';
export const OLD_PLAN = 'tests/distribution/old-plan.test.ts';
export const UNITS = 'tests/security/guards-of-parts.test.ts';
