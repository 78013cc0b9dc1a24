import { HaiveError } from '../../domain/errors.ts';
import type { VersionStatus } from '../../domain/registry.ts';
import { setPluginStatus } from '../../storage/plugin-queries.ts';
import { change } from '../change.ts';
import type { UseCase } from '../context.ts';
import { maySee, requireName, requirePublisher } from './access.ts';
import { findVersion } from './choose-version.ts';
import { loadCatalogue } from './snapshot.ts';

/** Deprecates, yanks, or offers again where it was offered before. */
export const setStatus: UseCase<'setStatus'> = async (hub, call) => {
  const { principal, body } = call;
  requirePublisher(principal);
  const catalogue = await loadCatalogue(hub.store);
  const found = findVersion(catalogue, call.params.id ?? '', (v) => maySee(principal, v));
  const { id, name, version } = found;
  requireName(principal, name);
  refuse(found);
  if (found.status === body.status && found.statusReason === body.reason) {
    return { id, status: found.status, seq: catalogue.seq };
  }
  const { seq } = await change(hub, principal, async ({ tx, at }) => {
    const now = await tx.selectFrom('plugins').select('status').where('id', '=', id).executeTakeFirstOrThrow();
    refuse({ name, version, status: now.status as VersionStatus });
    await setPluginStatus(tx, id, body.status, body.reason, at);
    const data = { id, name, version, from: now.status, to: body.status, reason: body.reason };
    return { result: undefined, trace: { type: 'plugin.status', target: id, data } };
  });
  return { id, status: body.status, seq };
};

function refuse(found: { name: string; version: string; status: VersionStatus }): void {
  const { status } = found;
  if (status === 'published' || status === 'deprecated' || status === 'yanked') return;
  throw new HaiveError('STATUS_FORBIDS', `${found.name}@${found.version} is ${status}`, {
    hint: status === 'registered' ? 'Publish it first.' : 'Register a new version.',
  });
}
