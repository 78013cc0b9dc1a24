import { openApproval } from '../../domain/approval.ts';
import { groupReaches } from '../../domain/desired/desired-state.ts';
import { HaiveError } from '../../domain/errors.ts';
import { patternsMeet } from '../../domain/names.ts';
import { addPublications, setPluginStatus } from '../../storage/queries/plugins.ts';
import {
  dropHeld,
  findApproval,
  findHeld,
  groupsHeld,
  holdPublication,
  putApproval,
} from '../../storage/queries/trust.ts';
import { isOperator } from '../auth.ts';
import { change } from '../change.ts';
import type { HubContext, Principal, UseCase } from '../context.ts';
import { findVersion } from '../registry/choose-version.ts';
import { type Catalogue, type CatalogueVersion, loadCatalogue } from '../registry/snapshot.ts';
import { sortedUnique } from '../sorted-unique.ts';
import { withheldFrom } from './quorums.ts';
import { measured, type SurfaceVerdict } from './surfaces.ts';

/** Why a publication waits for an operator. */
export interface Held {
  reason: string;
  added: SurfaceVerdict['added'];
  code: string[];
}

/**
 * What of `mustWait` is known without a look at the bytes.
 * @returns why it waits whatever they do; `bytes` where those decide; null where it passes
 */
export async function waitsFor(
  hub: HubContext,
  version: Pick<CatalogueVersion, 'digest' | 'status' | 'targets' | 'approvedBy'>,
  principal: Principal,
  targets: readonly string[],
): Promise<{ reason: string } | 'bytes' | null> {
  const { approvals: mode, approvalGroups } = hub.config;
  if (isOperator(principal)) return null;
  const privileged = targets.filter((t) => approvalGroups.some((g) => patternsMeet(g, t)));
  if (mode === 'never' && privileged.length === 0) return null;
  if (privileged.length === 0 && wasLookedAt(version, targets)) return null;
  if ((await findApproval(hub.store.read, version.digest)) !== undefined) return null;
  if (privileged.length > 0) {
    return { reason: `the groups ${privileged.join(', ')} take only what an operator approved` };
  }
  return mode === 'always' ? { reason: 'this hub offers only what an operator approved' } : 'bytes';
}

/** Whether what is offered is offered there already, or an operator published these bytes elsewhere. */
function wasLookedAt(
  { status, targets, approvedBy = [] }: Pick<CatalogueVersion, 'status' | 'targets' | 'approvedBy'>,
  wanted: readonly string[],
): boolean {
  if (status !== 'published') return false;
  return approvedBy.length > 0 || wanted.every((group) => targets.some((t) => groupReaches(t.group, [group])));
}

/**
 * Whether a publication must wait for an operator; null lets it pass. An operator who publishes has looked.
 * @param targets groups, `*` for all
 */
export async function mustWait(
  hub: HubContext,
  catalogue: Catalogue,
  version: CatalogueVersion,
  principal: Principal,
  targets: readonly string[],
): Promise<Held | null> {
  const waits = await waitsFor(hub, version, principal, targets);
  if (waits === null) return null;
  const { added, code, wider, against } = await measured(hub, catalogue, version, targets);
  const held = (reason: string): Held => ({ reason, added, code });
  if (waits !== 'bytes') return held(waits.reason);
  if (against === undefined) {
    const gone = (catalogue.plugins.get(version.name) ?? []).some(
      (v) => v.status === 'revoked' || v.status === 'deleted',
    );
    return gone && wider ? held('all earlier versions were taken back') : null;
  }
  if (wider) return held(`it does more than ${against.version}`);
  return hub.config.approvals === 'code' && code.length > 0
    ? held(`files that run differ from ${against.version}`)
    : null;
}

/**
 * Keeps a publication until somebody approves the digest, beside those that are kept already.
 * @returns the groups that it goes to then
 */
export async function hold(
  hub: HubContext,
  principal: Principal,
  version: CatalogueVersion,
  wish: { targets: readonly string[]; notify: boolean },
  held: Held,
): Promise<{ seq: number; groups: string[] }> {
  const { id, name, digest } = version;
  const { seq, result } = await change(hub, principal, async ({ tx, at }) => {
    const before = await findHeld(tx, id);
    const groups = sortedUnique([...(before === undefined ? [] : groupsHeld(before)), ...wish.targets]);
    const notify = wish.notify || before?.notify === 1 ? 1 : 0;
    await holdPublication(tx, { plugin_id: id, targets: JSON.stringify(groups), notify, by: principal.name, at });
    const data = { id, name, version: version.version, digest, groups, ...held, machine_ids: [] };
    return { result: groups, trace: { type: 'plugin.held', target: id, data } };
  });
  return { seq, groups: result };
}

/**
 * An operator has looked at a version: what was held is published. A signed approval reaches machines that demand one.
 * @throws HaiveError PLUGIN_NOT_FOUND, VERSION_NOT_FOUND, DIGEST_MISMATCH, VERSION_REVOKED, STATUS_FORBIDS, SIGNATURE_INVALID
 */
export const approve: UseCase<'approve'> = async (hub, call) => {
  const { principal, body } = call;
  const catalogue = await loadCatalogue(hub.store);
  const version = findVersion(catalogue, call.params.id ?? '');
  const { id, name, digest } = version;
  if (body.digest !== undefined && body.digest !== digest) {
    throw new HaiveError('DIGEST_MISMATCH', `${name}@${version.version} is ${digest}, not ${body.digest}`, {
      hint: 'Look at it again: these are not the bytes that were looked at.',
    });
  }
  refuseGone(version);
  // Whose key it is only machines know; what no key signed, or is about something else, would be of no use to any.
  if (body.envelope !== undefined) {
    const signer = body.public_key === undefined ? [] : [body.public_key];
    openApproval(body.envelope, { hub: hub.identity.id, name, version: version.version, digest }, signer);
  }
  const envelope = body.envelope === undefined ? null : JSON.stringify(body.envelope);
  const { seq, result } = await change(hub, principal, async ({ tx, at }) => {
    const now = await tx
      .selectFrom('plugins')
      .select(['status', 'status_reason', 'updated_at'])
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
    refuseGone({ ...version, status: now.status });
    await putApproval(tx, { digest, plugin_id: id, by: principal.name, at, envelope });
    const held = await findHeld(tx, id);
    const groups = held === undefined ? [] : groupsHeld(held);
    // Who sent it may have meant to lift a deprecation of before, not what was said since.
    const deprecated = now.status === 'deprecated' && (held?.at ?? '') <= now.updated_at;
    if (held !== undefined) {
      if (!deprecated) await setPluginStatus(tx, id, 'published', '', at);
      await addPublications(tx, id, groups, held.notify === 1, held.by, at);
      await dropHeld(tx, id);
    }
    const data = { id, name, version: version.version, digest, groups, signed: envelope !== null };
    const told = deprecated ? { deprecated: now.status_reason } : {};
    return { result: { groups, told }, trace: { type: 'plugin.approved', target: id, data } };
  });
  const after = await loadCatalogue(hub.store);
  const now = after.byId.get(id) ?? version;
  const withheld = withheldFrom(
    after,
    now,
    now.targets.map((t) => t.group),
  );
  const { groups, told } = result;
  const published = groups.length > 0 && told.deprecated === undefined;
  const said = { ...told, ...(withheld === null ? {} : { withheld }) };
  return { id, name, version: version.version, digest, published, groups, seq, ...said };
};

/** @throws HaiveError VERSION_REVOKED, STATUS_FORBIDS for what was taken back */
function refuseGone({ name, version, status }: { name: string; version: string; status: string }): void {
  if (status === 'revoked') throw new HaiveError('VERSION_REVOKED', `${name}@${version} was revoked`);
  if (status === 'deleted' || status === 'yanked')
    throw new HaiveError('STATUS_FORBIDS', `${name}@${version} is ${status}`);
}
