/** What a token may be (design, "Semantics"). `join` may only trade itself for a machine token. */
export const ROLES = ['admin', 'operator', 'publisher', 'contributor', 'machine', 'reader', 'join'] as const;
export type Role = (typeof ROLES)[number];

/** Those that somebody may be given; a machine gets its own by joining. */
export const GIVEN_ROLES = ROLES.filter((role) => role !== 'machine');

/** True when one of the roles is among those allowed; admin may everything. */
export function mayUse(roles: readonly Role[], access: readonly Role[]): boolean {
  return roles.some((role) => role === 'admin' || access.includes(role));
}
