import { HaiveError } from '../../domain/errors.ts';
import { parsePluginRef } from '../../domain/names.ts';
import { deletePluginFiles, setPluginStatus } from '../../storage/queries/plugins.ts';
import { change } from '../change.ts';
import type { UseCase } from '../context.ts';
import { requireOffered } from '../trust/token-limits.ts';
import { maySee, requireName, requirePublisher } from './access.ts';
import { inRange, versionsOf } from './choose-version.ts';
import { loadCatalogue } from './snapshot.ts';

/**
 * Deletes one version (an id or NAME@VERSION) or, by a bare name, all of them. The rows stay as tombstones; what was revoked
 * loses its files and stays revoked, so that machines go on hearing of it.
 */
export const remove: UseCase<'remove'> = async (hub, call) => {
  const { principal } = call;
  requirePublisher(principal);
  const { name, range } = parsePluginRef(call.params.id ?? '');
  requireName(principal, name);
  const catalogue = await loadCatalogue(hub.store);
  const versions = versionsOf(catalogue, name, (v) => maySee(principal, v));
  const chosen = (range === null ? versions : inRange(versions, range)).filter((v) => v.status !== 'deleted');
  if (chosen.length === 0) {
    throw new HaiveError('VERSION_NOT_FOUND', `There is no version of ${name} left to delete`);
  }
  await requireOffered(hub.store.read, principal, chosen);
  const ids = chosen.map((v) => v.id);
  const { seq } = await change(hub, principal, async ({ tx, at }) => {
    for (const id of ids) {
      const now = await tx.selectFrom('plugins').select('status').where('id', '=', id).executeTakeFirstOrThrow();
      if (now.status !== 'revoked') await setPluginStatus(tx, id, 'deleted', '', at);
      await deletePluginFiles(tx, id);
    }
    const data = { name, ids, versions: chosen.map((v) => v.version) };
    return { result: undefined, trace: { type: 'plugin.deleted', target: name, data } };
  });
  return { deleted: ids, seq };
};
