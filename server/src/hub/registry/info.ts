import { ENDPOINTS } from '../../contract/endpoints.ts';
import { mayUse } from '../../contract/roles.ts';
import { HaiveError } from '../../domain/errors.ts';
import { installationCounts } from '../../storage/queries/installation-counts.ts';
import { installationsOfPlugin } from '../../storage/queries/installations.ts';
import { filesOf, findOrigin, findPlugin } from '../../storage/queries/plugins.ts';
import type { HubContext, Principal, UseCase } from '../context.ts';
import { surfaceOf } from '../trust/surfaces.ts';
import { maySee } from './access.ts';
import { findVersion, versionsOf } from './choose-version.ts';
import { type CatalogueVersion, loadCatalogue } from './snapshot.ts';
import { toSummary } from './summary.ts';

/** Everything about one version: an id, NAME (the newest) or NAME@RANGE. */
export const info: UseCase<'info'> = async (hub, call) => {
  const visible = (v: CatalogueVersion) => maySee(call.principal, v);
  const catalogue = await loadCatalogue(hub.store);
  const version = findVersion(catalogue, call.params.id ?? '', visible);
  const { read } = hub.store;
  const row = await findPlugin(read, version.id);
  if (row === undefined) throw new HaiveError('PLUGIN_NOT_FOUND', `There is no plugin ${version.name}`);
  const counts = await installationCounts(read, [version.name]);
  return {
    ...toSummary(version, counts.get(version.name) ?? 0),
    status_reason: version.statusReason,
    machine_groups: version.machineGroups,
    manifest: JSON.parse(row.manifest) as Record<string, unknown>,
    original_manifest:
      row.original_manifest === null ? null : (JSON.parse(row.original_manifest) as Record<string, unknown>),
    dependencies: version.dependencies,
    files: await filesOf(read, version.id),
    surface: { ...(await surfaceOf(hub, version)).surface },
    publisher: version.publisher,
    imported: version.imported,
    origin: await findOrigin(read, version.id),
    versions: versionsOf(catalogue, version.name, visible).map((v) => ({
      id: v.id,
      version: v.version,
      status: v.status,
      created_at: v.createdAt,
    })),
    installed_on: await installedOn(hub, call.principal, version.name),
    created_at: version.createdAt,
  };
};

/** All machines for who may list them, itself for a machine, none for others. */
function installedOn(hub: HubContext, principal: Principal, name: string): ReturnType<typeof installationsOfPlugin> {
  if (mayUse(principal.roles, ENDPOINTS.machines.access)) return installationsOfPlugin(hub.store.read, name);
  const { machineId } = principal;
  return machineId === null ? Promise.resolve([]) : installationsOfPlugin(hub.store.read, name, machineId);
}
