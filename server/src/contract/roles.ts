/** What a token may be (design, "Semantics"). `join` may only trade itself for a machine token. */
export const ROLES = ['admin', 'operator', 'publisher', 'contributor', 'machine', 'reader', 'join'] as const;
export type Role = (typeof ROLES)[number];
