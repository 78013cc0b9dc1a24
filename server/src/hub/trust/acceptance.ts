import {
  compareSurfaces,
  declaredPermissions,
  isUndeclared,
  isWider,
  unaccepted,
} from '../../domain/surface/change.ts';
import type { Surface } from '../../domain/surface/index.ts';
import { findAccepted, putAccepted } from '../../storage/queries/trust.ts';
import { change } from '../change.ts';
import type { HubContext, Principal } from '../context.ts';
import type { Catalogue, CatalogueVersion } from '../registry/snapshot.ts';
import { surfaceOf } from './surfaces.ts';

const OFFERED = ['published', 'deprecated', 'yanked'] as const;

const manifestOf = (version: CatalogueVersion) => JSON.parse(version.manifest) as Record<string, unknown>;

/** Whether what is offered of a plugin does something or declares: what comes after it is only compared. */
async function isKnown(hub: Pick<HubContext, 'store'>, catalogue: Catalogue, name: string): Promise<boolean> {
  const versions = catalogue.plugins.get(name) ?? [];
  const offered = OFFERED.map((status) => versions.find((v) => v.status === status)).find((v) => v !== undefined);
  if (offered === undefined) return false;
  if (declaredPermissions(manifestOf(offered)) !== undefined) return true;
  return isWider((await surfaceOf(hub, offered)).surface);
}

/** What was accepted for a plugin; undefined when nothing was. */
async function acceptedSurface(hub: Pick<HubContext, 'store'>, name: string): Promise<Surface | undefined> {
  const row = await findAccepted(hub.store.read, name);
  return row === undefined ? undefined : (JSON.parse(row.surface) as Surface);
}

/** Whether a plugin's first surface is behind it: declared by this version, accepted, or offered before. */
export async function isSettled(
  hub: Pick<HubContext, 'store'>,
  catalogue: Catalogue,
  version: CatalogueVersion,
): Promise<boolean> {
  if (declaredPermissions(manifestOf(version)) !== undefined) return true;
  return (await isKnown(hub, catalogue, version.name)) || (await acceptedSurface(hub, version.name)) !== undefined;
}

/**
 * The first surface of a plugin that declares none goes out only when its publisher has seen and accepted it (seed, "permission
 * sandboxing"). What is offered later is compared with what was offered before (`mustWait`).
 * @param accepted the caller says so now, and that is kept
 * @throws HaiveError SURFACE_UNACCEPTED (details.id, details.surface)
 */
export async function requireAcceptance(
  hub: HubContext,
  catalogue: Catalogue,
  version: CatalogueVersion,
  principal: Principal,
  options: { accepted: boolean; dryRun: boolean },
): Promise<void> {
  if (version.status !== 'registered') return;
  const { surface } = await surfaceOf(hub, version);
  if (!isUndeclared(manifestOf(version), surface) || (await isKnown(hub, catalogue, version.name))) return;
  const before = await acceptedSurface(hub, version.name);
  if (before !== undefined && !isWider(compareSurfaces(before, surface).added)) return;
  if (!options.accepted) throw unaccepted(version, surface);
  if (options.dryRun) return;
  const { id, name, digest } = version;
  await change(hub, principal, async ({ tx, at }) => {
    const row = { name, plugin_id: id, digest, surface: JSON.stringify(surface), by: principal.name, at };
    await putAccepted(tx, row);
    const data = { id, name, version: version.version, digest, surface, machine_ids: [] };
    return { result: undefined, trace: { type: 'surface.accepted', target: id, data } };
  });
}
