import type { Selectable } from 'kysely';
import { pluginId } from '../../domain/version/record.ts';
import { chunksOf, inChunks } from '../chunks.ts';
import type { PluginInstallationsTable, Tx } from '../tables/index.ts';
import { countedNames, INSTALLED, moveCounts } from './installation-counts.ts';

/** A plugin as a machine reports it (contract ReportedPlugin). */
export interface InstallationReport {
  name: string;
  version: string;
  digest: string;
  state: string;
  install_path?: string | undefined;
  error?: { code: string; message: string } | undefined;
  edited?: boolean | undefined;
}

export interface InstallationRecord extends InstallationReport {
  machineId: string;
  installedAt: string;
  updatedAt: string;
  /** It is only registered, and no operator ever ordered it here: the machine's word alone. */
  unordered: boolean;
}

/** What machines reported, with whether that may be. */
const claims = (tx: Tx) =>
  tx
    .selectFrom('plugin_installations')
    .leftJoin('plugins', (on) =>
      on.onRef('plugins.id', '=', 'plugin_installations.plugin_id').on('plugins.status', '=', 'registered'),
    )
    .leftJoin('ordered_versions', (on) =>
      on
        .onRef('ordered_versions.machine_id', '=', 'plugin_installations.machine_id')
        .onRef('ordered_versions.plugin_id', '=', 'plugin_installations.plugin_id'),
    )
    .select(['plugins.id as registered', 'ordered_versions.plugin_id as ordered']);

type Claim = { registered: string | null; ordered: string | null };

const isUnordered = ({ registered, ordered }: Claim): boolean => registered !== null && ordered === null;

function toRecord(row: Selectable<PluginInstallationsTable> & Claim): InstallationRecord {
  return {
    unordered: isUnordered(row),
    machineId: row.machine_id,
    name: row.name,
    version: row.installed_version,
    digest: row.digest,
    state: row.status,
    edited: row.edited === 1,
    installedAt: row.installed_at,
    updatedAt: row.updated_at,
    ...(row.install_path === null ? {} : { install_path: row.install_path }),
    ...(row.error_code === null ? {} : { error: { code: row.error_code, message: row.error_message ?? '' } }),
  };
}

/**
 * Makes `plugins` all that the machine has. The machine's row must have been written in this transaction, so that nobody else does the same. A row that says the same as before keeps its `updated_at`.
 * @param at ISO-8601
 * @param options.only touches the rows of these names and leaves the others
 * @param options.before what installationsOf answers in this transaction, where it was asked
 */
export async function replaceInstallations(
  tx: Tx,
  machineId: string,
  plugins: readonly InstallationReport[],
  at: string,
  options: { only?: readonly string[]; before?: readonly InstallationRecord[] } = {},
): Promise<void> {
  const { only } = options;
  let gone = tx.deleteFrom('plugin_installations').where('machine_id', '=', machineId);
  if (only !== undefined) gone = gone.where('name', 'in', only);
  const known = options.before ?? (await installationsOf(tx, machineId));
  const before = new Map(known.map((p) => [pluginId(p.name, p.version), p]));
  const rows = new Map<string, Omit<PluginInstallationsTable, 'id'>>();
  for (const p of plugins) {
    const id = pluginId(p.name, p.version);
    const old = before.get(id);
    const row = {
      plugin_id: id,
      machine_id: machineId,
      name: p.name,
      installed_version: p.version,
      digest: p.digest,
      installed_at: old?.installedAt ?? at,
      updated_at: at,
      status: p.state,
      install_path: p.install_path ?? null,
      error_code: p.error?.code ?? null,
      error_message: p.error?.message ?? null,
      edited: p.edited === true ? 1 : 0,
    };
    rows.set(id, old !== undefined && sameReport(old, p) ? { ...row, updated_at: old.updatedAt } : row);
  }
  const touched = only === undefined ? known : known.filter((p) => only.includes(p.name));
  await moveCounts(tx, countedNames(touched), countedNames(plugins));
  await gone.execute();
  for (const chunk of chunksOf(rows.values(), 100)) {
    await tx.insertInto('plugin_installations').values(chunk).execute();
  }
}

function sameReport(a: InstallationReport, b: InstallationReport): boolean {
  const { digest, state, install_path, error, edited = false } = a;
  return (
    digest === b.digest &&
    state === b.state &&
    install_path === b.install_path &&
    error?.code === b.error?.code &&
    error?.message === b.error?.message &&
    edited === (b.edited ?? false)
  );
}

/** What one machine reported, by name. */
export async function installationsOf(tx: Tx, machineId: string): Promise<InstallationRecord[]> {
  const rows = await claims(tx)
    .selectAll('plugin_installations')
    .where('plugin_installations.machine_id', '=', machineId)
    .orderBy('plugin_installations.name')
    .execute();
  return rows.map(toRecord);
}

/** What these machines reported, by name. */
export async function installationsOfMachines(tx: Tx, ids: readonly string[]): Promise<InstallationRecord[]> {
  const rows = await inChunks(ids, (chunk) =>
    claims(tx)
      .selectAll('plugin_installations')
      .where('plugin_installations.machine_id', 'in', chunk)
      .orderBy('plugin_installations.name')
      .execute(),
  );
  return rows.map(toRecord);
}

/** Where a plugin is installed, by machine name. @param machineId asks of that machine alone */
export async function installationsOfPlugin(
  tx: Tx,
  name: string,
  machineId?: string,
): Promise<{ machine: string; version: string; state: string }[]> {
  const select = tx
    .selectFrom('plugin_installations')
    .innerJoin('machines', 'machines.id', 'plugin_installations.machine_id')
    .select([
      'machines.name as machine',
      'plugin_installations.installed_version as version',
      'plugin_installations.status as state',
    ])
    .where('plugin_installations.name', '=', name)
    .orderBy('machines.name');
  return (machineId === undefined ? select : select.where('machines.id', '=', machineId)).execute();
}

/** Names of the plugins installed on a machine, or on any. */
export async function installedNames(tx: Tx, machineId: string | null): Promise<Set<string>> {
  let select = tx.selectFrom('plugin_installations').select('name').distinct().where('status', 'in', INSTALLED);
  if (machineId !== null) select = select.where('machine_id', '=', machineId);
  return new Set((await select.execute()).map((r) => r.name));
}

/** What every machine reported: for computing what all of them should have. */
export async function allInstallations(
  tx: Tx,
): Promise<Pick<InstallationRecord, 'machineId' | 'name' | 'version' | 'unordered'>[]> {
  const rows = await claims(tx)
    .select([
      'plugin_installations.machine_id as machineId',
      'plugin_installations.name as name',
      'plugin_installations.installed_version as version',
    ])
    .orderBy('plugin_installations.name')
    .execute();
  return rows.map(({ machineId, name, version, ...claim }) => ({
    machineId,
    name,
    version,
    unordered: isUnordered(claim),
  }));
}
