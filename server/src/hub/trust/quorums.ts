import { mayUse } from '../../contract/roles.ts';
import { groupReaches, quorumFor } from '../../domain/desired/desired-state.ts';
import { HaiveError } from '../../domain/errors.ts';
import { CORE, checkGroupPattern } from '../../domain/names.ts';
import { listQuorums, putQuorum } from '../../storage/queries/trust.ts';
import type { Tx } from '../../storage/tables/index.ts';
import { change } from '../change.ts';
import type { Principal, UseCase } from '../context.ts';
import type { Catalogue, CatalogueVersion } from '../registry/snapshot.ts';

/** What keeps a version from groups that it is meant for. */
interface Withheld {
  groups: string[];
  approvals: number;
  by: string[];
}

/** Groups among those a version is offered to whose number of approvals it lacks; null when there is none. */
export function withheldFrom(
  catalogue: Pick<Catalogue, 'quorums'>,
  version: Pick<CatalogueVersion, 'name' | 'approvedBy'>,
  targets: readonly string[],
): Withheld | null {
  const by = [...(version.approvedBy ?? [])];
  const meets = (a: string, b: string): boolean => groupReaches(a, [b]) || groupReaches(b, [a]);
  const lacking = (catalogue.quorums ?? []).filter(
    ({ group, approvals }) => approvals > by.length && targets.some((target) => meets(group, target)),
  );
  if (version.name === CORE || lacking.length === 0) return null;
  return { groups: lacking.map((q) => q.group), approvals: Math.max(...lacking.map((q) => q.approvals)), by };
}

/**
 * How many operators must have approved a version before machines of a group (or pattern) get it; 0 for no such rule. An admin's
 * alone: whoever may approve must not also say how many it takes.
 * @returns what holds now: the configuration's `approval_groups` demand one whatever is said
 * @throws HaiveError NAME_INVALID
 */
export const setQuorum: UseCase<'setQuorum'> = async (hub, call) => {
  const group = call.params.group ?? '';
  const { approvals } = call.body;
  // A demand for a group of an odd, old name can be taken back.
  if (group !== '*' && approvals > 0) checkGroupPattern(group);
  const least = hub.config.approvalGroups.includes(group) ? 1 : 0;
  const { seq } = await change(hub, call.principal, async ({ tx, at }) => {
    await putQuorum(tx, { group, approvals, by: call.principal.name, at });
    return { result: undefined, trace: { type: 'group.approvals', target: group, data: { group, approvals } } };
  });
  return { group, approvals: Math.max(approvals, least), seq };
};

/**
 * Those of a machine's groups that it leaves only on an admin's word, as the groups it would be in demand fewer approvals: out of reach of
 * the others' approvals, whoever may approve would be alone.
 */
export async function groupsThatBind(
  tx: Tx,
  principal: Principal,
  before: readonly string[],
  after: readonly string[],
): Promise<string[]> {
  if (mayUse(principal.roles, [])) return [];
  const quorums = await listQuorums(tx);
  const bound = before.filter((group) => quorumFor(quorums, [group]) > 1);
  return quorumFor(quorums, after) >= quorumFor(quorums, bound) ? [] : bound;
}

/** @throws HaiveError FORBIDDEN where a machine would be in groups that demand fewer approvals than those it is in */
export async function refuseFewerApprovals(
  tx: Tx,
  principal: Principal,
  before: readonly string[],
  after: readonly string[],
): Promise<void> {
  const bound = await groupsThatBind(tx, principal, before, after);
  if (bound.length === 0) return;
  throw new HaiveError(
    'FORBIDDEN',
    `Only an admin takes a machine out of ${bound.join(', ')}, which several approve for`,
    {
      details: { groups: bound },
      hint: 'Keep it in such a group, or let an admin move it.',
    },
  );
}
