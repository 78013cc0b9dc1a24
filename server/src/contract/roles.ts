/** What a token may be (design, "Semantics"). `join` may only trade itself for a machine token. */
export const ROLES = ['admin', 'operator', 'publisher', 'contributor', 'machine', 'reader', 'join'] as const;
export type Role = (typeof ROLES)[number];

/** Those that somebody may be given; a machine gets its own by joining. */
export const GIVEN_ROLES = ROLES.filter((role) => role !== 'machine');
