import { HaiveError } from '../../domain/errors.ts';
import { keyIdOf } from '../../domain/signing/dsse.ts';
import { deletePluginFiles, findOrigin, setPluginStatus } from '../../storage/queries/plugins.ts';
import { dropHeld, findHeld, groupsHeld, heldIds } from '../../storage/queries/trust.ts';
import { change } from '../change.ts';
import type { HubContext, UseCase } from '../context.ts';
import { findVersion } from '../registry/choose-version.ts';
import { type Catalogue, type CatalogueVersion, loadCatalogue } from '../registry/snapshot.ts';
import { withheldFrom } from './quorums.ts';
import { findingsOf } from './review-findings.ts';
import { describeSurface } from './show-surface.ts';

/**
 * What waits for an operator (seed, phase 4): versions that nobody published, or that too few approved, the oldest first, each with what it
 * does and what is found in it by the rules of now. What the hub itself ships waits for nobody.
 */
export const reviews: UseCase<'reviews'> = async (hub, call) => {
  const { plugin, limit, after } = call.query;
  const catalogue = await loadCatalogue(hub.store);
  const shipped = await shippedIds(hub);
  const held = await heldIds(hub.store.read);
  /** Not offered yet, held from further groups, or offered to groups that demand more approvals; of the last the newest. */
  const isWaiting = (v: CatalogueVersion): boolean =>
    v.status === 'registered' ||
    (held.has(v.id) && (v.status === 'published' || v.status === 'deprecated')) ||
    (catalogue.plugins.get(v.name)?.find((other) => other.status === 'published')?.id === v.id &&
      withheldOf(catalogue, v) !== null);
  const waiting = [...catalogue.byId.values()]
    .filter((v) => isWaiting(v) && !shipped.has(v.id))
    .sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
  const chosen =
    plugin === undefined
      ? waiting.filter((v) => after === undefined || placeOf(v) > after)
      : [findVersion(catalogue, plugin)].filter(isWaiting);
  const page = chosen.slice(0, limit);
  const rows: Awaited<ReturnType<typeof rowOf>>[] = [];
  for (const version of page) rows.push(await rowOf(hub, catalogue, version));
  const last = page.at(-1);
  return {
    reviews: rows,
    waiting: waiting.length,
    next: last !== undefined && chosen.length > page.length ? placeOf(last) : null,
  };
};

async function rowOf(hub: HubContext, catalogue: Catalogue, version: CatalogueVersion) {
  const { publisher, imported, createdAt } = version;
  const surface = await describeSurface(hub, catalogue, version);
  const origin = await findOrigin(hub.store.read, version.id);
  const findings = await findingsOf(hub, version);
  const withheld = version.status === 'published' ? withheldOf(catalogue, version) : null;
  return { ...surface, publisher, imported, origin, registered_at: createdAt, findings, withheld };
}

const withheldOf = (catalogue: Catalogue, version: CatalogueVersion) =>
  withheldFrom(
    catalogue,
    version,
    version.targets.map((t) => t.group),
  );

const placeOf = (version: CatalogueVersion): string => `${version.createdAt} ${version.id}`;

/** Only the hub signs with its key what is not marked as imported. */
async function shippedIds(hub: HubContext): Promise<Set<string>> {
  const rows = await hub.store.read
    .selectFrom('plugins')
    .select('id')
    .where('publisher_keyid', '=', keyIdOf(hub.identity.publicKey))
    .where('imported', '=', 0)
    .execute();
  return new Set(rows.map((row) => row.id));
}

/**
 * Sends a version back that was never offered: it is deleted with the reason, and its number cannot be used again. One that is offered
 * elsewhere stays there, and does not go to the further groups that it is held from.
 * @throws HaiveError PLUGIN_NOT_FOUND, VERSION_NOT_FOUND, DIGEST_MISMATCH, STATUS_FORBIDS when it was published and waits for nobody
 */
export const reject: UseCase<'reject'> = async (hub, call) => {
  const { principal, body } = call;
  const catalogue = await loadCatalogue(hub.store);
  const { id, name, version, digest } = findVersion(catalogue, call.params.id ?? '');
  if (body.digest !== undefined && body.digest !== digest) {
    throw new HaiveError('DIGEST_MISMATCH', `${name}@${version} is ${digest}, not ${body.digest}`);
  }
  const { seq, result } = await change(hub, principal, async ({ tx, at }) => {
    const now = await tx.selectFrom('plugins').select('status').where('id', '=', id).executeTakeFirstOrThrow();
    const held = await findHeld(tx, id);
    const from = held === undefined ? [] : groupsHeld(held);
    const isOffered = now.status === 'published' || now.status === 'deprecated';
    if (now.status !== 'registered' && (held === undefined || !isOffered)) {
      throw new HaiveError('STATUS_FORBIDS', `${name}@${version} is ${now.status}`, {
        hint: 'What was offered is taken back with `hv yank` or `hv revoke`.',
      });
    }
    if (!isOffered) {
      await setPluginStatus(tx, id, 'deleted', `rejected: ${body.reason}`, at);
      await deletePluginFiles(tx, id);
    }
    await dropHeld(tx, id);
    const told = isOffered ? { groups: from } : {};
    const data = { id, name, version, digest, reason: body.reason, ...told, machine_ids: [] };
    return { result: told, trace: { type: 'plugin.rejected', target: id, data } };
  });
  return { id, name, version, digest, ...result, seq };
};
