import type { Reply } from '../../contract/endpoints.ts';
import { declaredPermissions } from '../../domain/surface/change.ts';
import { findApproval, findHeld, groupsHeld } from '../../storage/queries/trust.ts';
import type { HubContext, UseCase } from '../context.ts';
import { maySee } from '../registry/access.ts';
import { findVersion } from '../registry/choose-version.ts';
import { type Catalogue, type CatalogueVersion, loadCatalogue } from '../registry/snapshot.ts';
import { isSettled } from './acceptance.ts';
import { changeOf, measured, surfaceOf } from './surfaces.ts';

/** What a version can do, and how that differs from another version (the one offered before it when none is named). */
export const surface: UseCase<'surface'> = async (hub, call) => {
  const visible = (v: CatalogueVersion): boolean => maySee(call.principal, v);
  const catalogue = await loadCatalogue(hub.store);
  const version = findVersion(catalogue, call.params.id ?? '', visible);
  const { against } = call.query;
  const other = against === undefined ? undefined : findVersion(catalogue, `${version.name}@${against}`, visible);
  return describeSurface(hub, catalogue, version, other);
};

/** A version's surface against another's (none: what it is measured by where it goes, or is to go), and what people said of it. */
export async function describeSurface(
  hub: HubContext,
  catalogue: Catalogue,
  version: CatalogueVersion,
  other?: CatalogueVersion,
): Promise<Reply<'surface'>> {
  const [{ surface: computed }, approval, held, accepted] = await Promise.all([
    surfaceOf(hub, version),
    findApproval(hub.store.read, version.digest),
    findHeld(hub.store.read, version.id),
    isSettled(hub, catalogue, version),
  ]);
  const groups = held === undefined ? version.targets.map((t) => t.group) : groupsHeld(held);
  const { against, ...change } =
    other === undefined ? await measured(hub, catalogue, version, groups) : await changeOf(hub, version, other);
  const { id, name, digest, status } = version;
  return {
    id,
    name,
    version: version.version,
    digest,
    status,
    surface: computed,
    declared: declaredPermissions(JSON.parse(version.manifest) as Record<string, unknown>) !== undefined,
    accepted,
    against: against === undefined ? null : against.version,
    added: change.added,
    removed: change.removed,
    code_changed: against === undefined ? [] : change.code,
    approved: approval === undefined ? null : { by: approval.by, at: approval.at, signed: approval.envelope !== null },
    held: held === undefined ? null : { by: held.by, at: held.at, groups },
  };
}
