import { HaiveError } from '../../domain/errors.ts';
import { setPluginStatus } from '../../storage/queries/plugins.ts';
import { dropHeld, listRevocations, recordRevocation } from '../../storage/queries/trust.ts';
import { sessionsOfVersions } from '../../storage/queries/usage.ts';
import type { RevocationHoldersTable } from '../../storage/tables/trust.ts';
import { change } from '../change.ts';
import type { UseCase } from '../context.ts';
import { maySee, requireName, requirePublisher } from '../registry/access.ts';
import { findExactly } from '../registry/choose-version.ts';
import { loadCatalogue } from '../registry/snapshot.ts';
import { requireOffered } from './token-limits.ts';

/**
 * Takes a version back from every machine at once, for good.
 * @throws HaiveError PLUGIN_NOT_FOUND, VERSION_NOT_FOUND, BAD_REQUEST when no exact version is named, FORBIDDEN, VERSION_REVOKED when it was revoked before
 */
export const revoke: UseCase<'revoke'> = async (hub, call) => {
  const { principal, body } = call;
  requirePublisher(principal);
  const catalogue = await loadCatalogue(hub.store);
  const found = findExactly(catalogue, call.params.id ?? '', (v) => maySee(principal, v));
  const { id, name, version, digest } = found;
  requireName(principal, name);
  await requireOffered(hub.store.read, principal, [found]);
  const { seq, result } = await change(hub, principal, async ({ tx, at }) => {
    const now = await tx.selectFrom('plugins').select('status').where('id', '=', id).executeTakeFirstOrThrow();
    if (now.status === 'revoked') throw new HaiveError('VERSION_REVOKED', `${name}@${version} was revoked before`);
    await setPluginStatus(tx, id, 'revoked', body.reason, at);
    await dropHeld(tx, id);
    const row = { plugin_id: id, name, version, digest, reason: body.reason, by: principal.name, at };
    const holders = await recordRevocation(tx, row);
    const data = { id, name, version, digest, from: now.status, reason: body.reason, holders: holders.length };
    return { result: { at, holders }, trace: { type: 'plugin.revoked', target: id, data } };
  });
  return { id, name, version, digest, reason: body.reason, at: result.at, holders: result.holders.map(holderRow), seq };
};

/** What was revoked, who had it, which sessions used it, and who has confirmed that it is gone. */
export const revocations: UseCase<'revocations'> = async (hub, call) => {
  const rows = await listRevocations(hub.store.read, call.query.plugin);
  const used = await sessionsOfVersions(hub.store.read, rows);
  return {
    revocations: rows.map(({ plugin_id: id, holders, ...row }) => ({
      id,
      ...row,
      holders: holders.map(holderRow),
      sessions: used
        .filter((s) => s.name === row.name && s.version === row.version)
        .map(({ name: _, version: __, ...session }) => session),
    })),
  };
};

const holderRow = ({ machine, since, confirmed_at }: RevocationHoldersTable) => ({ machine, since, confirmed_at });
