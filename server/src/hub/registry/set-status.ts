import type { VersionStatus } from '../../domain/desired/registry.ts';
import { HaiveError } from '../../domain/errors.ts';
import { setPluginStatus } from '../../storage/queries/plugins.ts';
import { change } from '../change.ts';
import type { UseCase } from '../context.ts';
import { requireOffered } from '../trust/token-limits.ts';
import { maySee, requireName, requirePublisher } from './access.ts';
import { findVersion } from './choose-version.ts';
import { loadCatalogue } from './snapshot.ts';

type Body = Parameters<UseCase<'setStatus'>>[1]['body'];

interface Standing {
  name: string;
  version: string;
  status: VersionStatus;
}

/** Deprecates, yanks, or offers again where it was offered before. A yank stays until it is lifted. */
export const setStatus: UseCase<'setStatus'> = async (hub, call) => {
  const { principal, body } = call;
  requirePublisher(principal);
  const catalogue = await loadCatalogue(hub.store);
  const found = findVersion(catalogue, call.params.id ?? '', (v) => maySee(principal, v));
  const { id, name, version } = found;
  requireName(principal, name);
  await requireOffered(hub.store.read, principal, [found]);
  refuse(found, body);
  if (found.status === body.status && (body.lifts !== undefined || found.statusReason === body.reason)) {
    return { id, status: found.status, seq: catalogue.seq };
  }
  const { seq, result: to } = await change(hub, principal, async ({ tx, at }) => {
    const row = await tx
      .selectFrom('plugins')
      .select(['status', 'status_reason', 'deprecated_before'])
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
    const from = row.status as VersionStatus;
    refuse({ name, version, status: from }, body);
    const before = from === 'deprecated' ? row.status_reason : row.deprecated_before;
    const restored = body.lifts === 'yanked' && from === 'yanked' && before !== null;
    const to = restored ? 'deprecated' : body.status;
    const reason = restored ? before : body.reason;
    await setPluginStatus(tx, id, to, reason, at, to === 'yanked' ? before : null);
    return { result: to, trace: { type: 'plugin.status', target: id, data: { id, name, version, from, to, reason } } };
  });
  return { id, status: to, seq };
};

function refuse(standing: Standing, body: Body): void {
  refuseNotOffered(standing);
  refuseOther(standing, body);
}

function refuseNotOffered({ name, version, status }: Standing): void {
  if (status === 'published' || status === 'deprecated' || status === 'yanked') return;
  throw new HaiveError('STATUS_FORBIDS', `${name}@${version} is ${status}`, {
    hint: status === 'registered' ? 'Publish it first.' : 'Register a new version.',
  });
}

/** What is said of one status does not undo another. */
function refuseOther({ name, version, status }: Standing, body: Body): void {
  const ref = `${name}@${version}`;
  if (status === 'yanked' && body.status === 'deprecated') {
    throw new HaiveError('STATUS_FORBIDS', `${ref} is yanked, which says more than deprecated`, {
      hint: `To deprecate it instead, first \`hv yank ${ref} --undo\`.`,
    });
  }
  if (body.status === 'published' && body.lifts !== undefined && status !== 'published' && status !== body.lifts) {
    throw new HaiveError('STATUS_FORBIDS', `${ref} is ${status}, not ${body.lifts}`, {
      hint: `To lift that: \`hv ${status === 'yanked' ? 'yank' : 'deprecate'} ${ref} --undo\`.`,
    });
  }
}
