import type { Surface } from '../../domain/surface/index.ts';
import type { Tx } from '../tables/index.ts';
import type {
  AcceptedSurfacesTable,
  ApprovalsTable,
  ApprovalVotesTable,
  GroupQuorumsTable,
  HeldPublicationsTable,
  RevocationHoldersTable,
  RevocationsTable,
} from '../tables/trust.ts';

export interface StoredSurface {
  surface: Surface;
  /** Path → sha256. */
  code: Record<string, string>;
}

export async function findSurface(tx: Tx, pluginId: string, digest: string): Promise<StoredSurface | undefined> {
  const row = await tx
    .selectFrom('plugin_surfaces')
    .selectAll()
    .where('plugin_id', '=', pluginId)
    .where('digest', '=', digest)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return { surface: JSON.parse(row.surface) as Surface, code: JSON.parse(row.code) as Record<string, string> };
}

/** Keeps a surface; the newest digest of a version wins. */
export async function putSurface(tx: Tx, pluginId: string, digest: string, stored: StoredSurface): Promise<void> {
  const values = { digest, surface: JSON.stringify(stored.surface), code: JSON.stringify(stored.code) };
  await tx
    .insertInto('plugin_surfaces')
    .values({ plugin_id: pluginId, ...values })
    .onConflict((oc) => oc.column('plugin_id').doUpdateSet(values))
    .execute();
}

/** What was accepted for a plugin by name. */
export async function findAccepted(tx: Tx, name: string): Promise<AcceptedSurfacesTable | undefined> {
  return tx.selectFrom('accepted_surfaces').selectAll().where('name', '=', name).executeTakeFirst();
}

/** Keeps an acceptance; the newest of a plugin wins. */
export async function putAccepted(tx: Tx, accepted: AcceptedSurfacesTable): Promise<void> {
  const { name: _, ...rest } = accepted;
  await tx
    .insertInto('accepted_surfaces')
    .values(accepted)
    .onConflict((oc) => oc.column('name').doUpdateSet(rest))
    .execute();
}

export async function findApproval(tx: Tx, digest: string): Promise<ApprovalsTable | undefined> {
  return tx.selectFrom('approvals').selectAll().where('digest', '=', digest).executeTakeFirst();
}

/** Signed approvals by digest, in the order in which they were given. */
export async function signedApprovals(tx: Tx): Promise<Map<string, string[]>> {
  const rows = await tx
    .selectFrom('approval_votes')
    .select(['digest', 'envelope'])
    .where('envelope', 'is not', null)
    .orderBy('at')
    .orderBy('by')
    .execute();
  const found = new Map<string, string[]>();
  for (const { digest, envelope } of rows) found.set(digest, [...(found.get(digest) ?? []), envelope ?? '']);
  return found;
}

/** Who approved, by digest. */
export async function approvers(tx: Tx): Promise<Map<string, string[]>> {
  const rows = await tx.selectFrom('approval_votes').select(['digest', 'by']).orderBy('by').execute();
  const found = new Map<string, string[]>();
  for (const { digest, by } of rows) found.set(digest, [...(found.get(digest) ?? []), by]);
  return found;
}

export async function listQuorums(tx: Tx): Promise<GroupQuorumsTable[]> {
  return tx.selectFrom('group_quorums').selectAll().orderBy('group').execute();
}

/** Sets a group's number of approvals; 0 takes it away. */
export async function putQuorum(tx: Tx, quorum: GroupQuorumsTable): Promise<void> {
  await tx.deleteFrom('group_quorums').where('group', '=', quorum.group).execute();
  if (quorum.approvals > 0) await tx.insertInto('group_quorums').values(quorum).execute();
}

/** Keeps an approval; a signed one replaces an unsigned one. */
export async function putApproval(tx: Tx, approval: ApprovalsTable): Promise<void> {
  const { by, at, envelope } = approval;
  await tx
    .insertInto('approvals')
    .values(approval)
    .onConflict((oc) =>
      envelope === null ? oc.column('digest').doNothing() : oc.column('digest').doUpdateSet({ by, at, envelope }),
    )
    .execute();
  await putVote(tx, approval);
}

/** One operator's approval among several; a signed one replaces that operator's unsigned one. */
export async function putVote(tx: Tx, vote: ApprovalVotesTable): Promise<void> {
  const { at, envelope } = vote;
  await tx
    .insertInto('approval_votes')
    .values(vote)
    .onConflict((oc) =>
      envelope === null
        ? oc.columns(['digest', 'by']).doNothing()
        : oc.columns(['digest', 'by']).doUpdateSet({ at, envelope }),
    )
    .execute();
}

export async function holdPublication(tx: Tx, held: HeldPublicationsTable): Promise<void> {
  const { plugin_id: _, ...rest } = held;
  await tx
    .insertInto('held_publications')
    .values(held)
    .onConflict((oc) => oc.column('plugin_id').doUpdateSet(rest))
    .execute();
}

export async function findHeld(tx: Tx, pluginId: string): Promise<HeldPublicationsTable | undefined> {
  return tx.selectFrom('held_publications').selectAll().where('plugin_id', '=', pluginId).executeTakeFirst();
}

/** The groups that a held publication goes to once it is approved. */
export const groupsHeld = ({ targets }: Pick<HeldPublicationsTable, 'targets'>): string[] =>
  JSON.parse(targets) as string[];

/** The versions of which a publication is held. */
export async function heldIds(tx: Tx): Promise<Set<string>> {
  const rows = await tx.selectFrom('held_publications').select('plugin_id').execute();
  return new Set(rows.map((row) => row.plugin_id));
}

export async function dropHeld(tx: Tx, pluginId: string): Promise<void> {
  await tx.deleteFrom('held_publications').where('plugin_id', '=', pluginId).execute();
}

/** Takes down who has a version now; @returns them. */
export async function recordRevocation(tx: Tx, revocation: RevocationsTable): Promise<RevocationHoldersTable[]> {
  await tx.insertInto('revocations').values(revocation).execute();
  const rows = await tx
    .selectFrom('plugin_installations')
    .innerJoin('machines', 'machines.id', 'plugin_installations.machine_id')
    .select(['machines.id as machine_id', 'machines.name as machine', 'plugin_installations.installed_at as since'])
    .where('plugin_installations.name', '=', revocation.name)
    .where('plugin_installations.installed_version', '=', revocation.version)
    .orderBy('machines.name')
    .execute();
  const holders = rows.map((row) => ({ ...row, plugin_id: revocation.plugin_id, confirmed_at: null }));
  for (let i = 0; i < holders.length; i += 200)
    await tx
      .insertInto('revocation_holders')
      .values(holders.slice(i, i + 200))
      .execute();
  return holders;
}

/** A machine reported: what it was to lose and does not name any more is confirmed. */
export async function confirmRevocations(
  tx: Tx,
  machineId: string,
  has: readonly { name: string; version: string }[],
  at: string,
): Promise<void> {
  const open = await tx
    .selectFrom('revocation_holders')
    .innerJoin('revocations', 'revocations.plugin_id', 'revocation_holders.plugin_id')
    .select(['revocations.plugin_id as id', 'revocations.name as name', 'revocations.version as version'])
    .where('revocation_holders.machine_id', '=', machineId)
    .where('revocation_holders.confirmed_at', 'is', null)
    .execute();
  const gone = open.filter((row) => !has.some((p) => p.name === row.name && p.version === row.version));
  for (const { id } of gone) {
    await tx
      .updateTable('revocation_holders')
      .set({ confirmed_at: at })
      .where('plugin_id', '=', id)
      .where('machine_id', '=', machineId)
      .execute();
  }
}

/** Newest first, with everybody who had the version. */
export async function listRevocations(
  tx: Tx,
  pluginId?: string,
): Promise<(RevocationsTable & { holders: RevocationHoldersTable[] })[]> {
  let select = tx.selectFrom('revocations').selectAll().orderBy('at', 'desc').orderBy('plugin_id');
  let people = tx.selectFrom('revocation_holders').selectAll().orderBy('machine');
  if (pluginId !== undefined) {
    select = select.where('plugin_id', '=', pluginId);
    people = people.where('plugin_id', '=', pluginId);
  }
  const [rows, holders] = await Promise.all([select.execute(), people.execute()]);
  return rows.map((row) => ({ ...row, holders: holders.filter((h) => h.plugin_id === row.plugin_id) }));
}
