import { HaiveError } from '../../domain/errors.ts';
import { nameMatches } from '../../domain/names.ts';
import type { Tx } from '../../storage/tables/index.ts';
import type { Principal } from '../context.ts';
import { sortedUnique } from '../sorted-unique.ts';

/** What a token may do only so often, or only for some groups. No row: no limit. */
export interface TokenLimits {
  maxUses: number | null;
  uses: number;
  groups: string[] | null;
}

export async function findLimits(tx: Tx, tokenId: string): Promise<TokenLimits | undefined> {
  const row = await tx.selectFrom('token_limits').selectAll().where('token_id', '=', tokenId).executeTakeFirst();
  if (row === undefined) return undefined;
  return {
    maxUses: row.max_uses,
    uses: row.uses,
    groups: row.groups === null ? null : (JSON.parse(row.groups) as string[]),
  };
}

export async function putLimits(tx: Tx, tokenId: string, limits: Omit<TokenLimits, 'uses'>): Promise<void> {
  const groups = limits.groups === null ? null : JSON.stringify(limits.groups);
  await tx
    .insertInto('token_limits')
    .values({ token_id: tokenId, max_uses: limits.maxUses, uses: 0, groups })
    .execute();
}

/**
 * Checks a join with this token and, where it `counts`, counts it. The count is raised by the database, so that two joins at once cannot both be the last.
 * @throws HaiveError TOKEN_INVALID when it is used up, GROUP_NOT_ALLOWED when it may not give one of the groups
 */
export async function useJoinToken(tx: Tx, tokenId: string, groups: readonly string[], counts: boolean): Promise<void> {
  const limits = await findLimits(tx, tokenId);
  if (limits === undefined) return;
  refuseGroups(limits.groups, groups, 'may not join machines to');
  if (limits.maxUses === null || !counts) return;
  const done = await tx
    .updateTable('token_limits')
    .set((eb) => ({ uses: eb('uses', '+', 1) }))
    .where('token_id', '=', tokenId)
    .whereRef('uses', '<', 'max_uses')
    .executeTakeFirst();
  if (done.numUpdatedRows > 0n) return;
  throw new HaiveError('TOKEN_INVALID', `The token was good for ${limits.maxUses} machines, and they have joined`);
}

/**
 * @param version what is published: where it is deprecated, that is lifted for all whom it is offered to
 * @throws HaiveError GROUP_NOT_ALLOWED when the token may publish to some groups only
 */
export async function requireTargets(
  tx: Tx,
  principal: Principal,
  version: { status: string; targets: readonly { group: string }[] },
  targets: readonly string[],
): Promise<void> {
  if (principal.tokenId === '') return;
  const limits = await findLimits(tx, principal.tokenId);
  if (limits !== undefined) refuseGroups(limits.groups, targets, 'may not publish to');
  if (version.status === 'deprecated') await requireOffered(tx, principal, [version]);
}

/**
 * @param offered groups that what is taken back is offered to
 * @throws HaiveError GROUP_NOT_ALLOWED when the token may act on some groups only, and others have it too
 */
export async function requireOffered(
  tx: Tx,
  principal: Principal,
  offered: readonly { targets: readonly { group: string }[] }[],
): Promise<void> {
  if (principal.tokenId === '') return;
  const limits = await findLimits(tx, principal.tokenId);
  const groups = sortedUnique(offered.flatMap(({ targets }) => targets.map((t) => t.group)));
  if (limits !== undefined) refuseGroups(limits.groups, groups, 'may not change what is offered to');
}

function refuseGroups(allowed: readonly string[] | null, groups: readonly string[], what: string): void {
  if (allowed === null) return;
  const outside = groups.filter((group) => !allowed.some((pattern) => nameMatches(pattern, group)));
  if (outside.length === 0) return;
  throw new HaiveError('GROUP_NOT_ALLOWED', `This token ${what} ${outside.join(', ')}`, {
    details: { outside, allowed: [...allowed] },
  });
}
