import type { VersionStatus } from '../../domain/desired/registry.ts';
import { withoutLogin } from '../../domain/redact.ts';
import type { Dependency } from '../../domain/version/manifest.ts';
import type { FileEntry, FileType } from '../../domain/version/record.ts';
import { chunksOf, inChunks } from '../chunks.ts';
import type { PluginsTable, PublicationsTable, Tx } from '../tables/index.ts';

export type PluginRow = PluginsTable;

export interface NewPlugin {
  row: Omit<PluginsTable, 'status' | 'status_reason' | 'deprecated_before' | 'updated_at' | 'published_at'>;
  files: readonly (FileEntry & { type: FileType })[];
  dependencies: readonly Dependency[];
  /** Where the manifest lets it go. */
  machineGroups: readonly string[];
}

/** Inserts a registered version; its blobs must be stored. Name and version taken is a unique violation. */
export async function insertOrigin(tx: Tx, pluginId: string, origin: string): Promise<void> {
  await tx.insertInto('plugin_origins').values({ plugin_id: pluginId, origin }).execute();
}

/** Where a version came from; null for one that its author packed, or that is older than the table. */
export async function findOrigin(tx: Tx, pluginId: string): Promise<string | null> {
  const row = await tx
    .selectFrom('plugin_origins')
    .select('origin')
    .where('plugin_id', '=', pluginId)
    .executeTakeFirst();
  // What an earlier program kept may hold a login.
  return row === undefined ? null : withoutLogin(row.origin);
}

export async function insertPlugin(tx: Tx, plugin: NewPlugin): Promise<void> {
  const { id, created_at } = plugin.row;
  await tx
    .insertInto('plugins')
    .values({
      ...plugin.row,
      ...{ status: 'registered', status_reason: '', deprecated_before: null },
      ...{ updated_at: created_at, published_at: null },
    })
    .execute();
  for (const chunk of chunksOf(plugin.files, 100)) {
    await tx
      .insertInto('plugin_files')
      .values(
        chunk.map((f) => ({
          plugin_id: id,
          file_path: f.path,
          file_type: f.type,
          checksum: f.sha256,
          size: f.size,
          executable: f.executable ? 1 : 0,
          created_at,
        })),
      )
      .execute();
  }
  for (const chunk of chunksOf(plugin.dependencies, 100)) {
    await tx
      .insertInto('plugin_dependencies')
      .values(
        chunk.map((d) => ({
          plugin_id: id,
          depends_on_name: d.name,
          depends_on_version: d.range,
          dependency_type: d.kind,
        })),
      )
      .execute();
  }
  for (const chunk of chunksOf(plugin.machineGroups, 100)) {
    await tx
      .insertInto('plugin_machine_groups')
      .values(chunk.map((machine_group) => ({ plugin_id: id, machine_group })))
      .execute();
  }
}

/** One version's row, deleted ones too. */
export async function findPlugin(tx: Tx, id: string): Promise<PluginRow | undefined> {
  return tx.selectFrom('plugins').selectAll().where('id', '=', id).executeTakeFirst();
}

export interface PluginFileRow {
  path: string;
  type: FileType;
  sha256: string;
  size: number;
  executable: boolean;
}

/** A version's files by path; none once it is deleted. */
export async function filesOf(tx: Tx, pluginId: string): Promise<PluginFileRow[]> {
  const rows = await tx
    .selectFrom('plugin_files')
    .select(['file_path', 'file_type', 'checksum', 'size', 'executable'])
    .where('plugin_id', '=', pluginId)
    .execute();
  return rows
    .map((r) => ({
      path: r.file_path,
      type: r.file_type as FileType,
      sha256: r.checksum,
      size: r.size,
      executable: r.executable === 1,
    }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Everything the in-memory catalogue is made of, for all plugins or the named ones. */
export interface CatalogueRows {
  plugins: Omit<PluginsTable, 'record' | 'original_manifest' | 'deprecated_before'>[];
  dependencies: { plugin_id: string; name: string; range: string; kind: string }[];
  machineGroups: { plugin_id: string; machine_group: string }[];
  publications: Pick<PublicationsTable, 'plugin_id' | 'target' | 'notify' | 'by'>[];
}

const CATALOGUE_COLUMNS = [
  'id',
  'name',
  'version',
  'description',
  'author_name',
  'author_org',
  'manifest',
  'checksum',
  'publisher',
  'publisher_token',
  'publisher_keyid',
  'imported',
  'required_capabilities',
  'min_haivemind_version',
  'components',
  'status',
  'status_reason',
  'created_at',
  'updated_at',
  'published_at',
] as const;

/** @param names undefined for all */
export async function readCatalogue(tx: Tx, names: readonly string[] | undefined): Promise<CatalogueRows> {
  const plugins =
    names === undefined
      ? await tx.selectFrom('plugins').select(CATALOGUE_COLUMNS).execute()
      : await inChunks(names, (chunk) =>
          tx.selectFrom('plugins').select(CATALOGUE_COLUMNS).where('name', 'in', chunk).execute(),
        );
  const ids = names === undefined ? undefined : plugins.map((p) => p.id);
  const dependencies = await perPlugin(ids, (chunk) => {
    const select = tx
      .selectFrom('plugin_dependencies')
      .select(['plugin_id', 'depends_on_name as name', 'depends_on_version as range', 'dependency_type as kind'])
      .orderBy('id');
    return (chunk === undefined ? select : select.where('plugin_id', 'in', chunk)).execute();
  });
  const machineGroups = await perPlugin(ids, (chunk) => {
    const select = tx.selectFrom('plugin_machine_groups').select(['plugin_id', 'machine_group']).orderBy('id');
    return (chunk === undefined ? select : select.where('plugin_id', 'in', chunk)).execute();
  });
  const publications = await perPlugin(ids, (chunk) => {
    const select = tx.selectFrom('publications').select(['plugin_id', 'target', 'notify', 'by']).orderBy('id');
    return (chunk === undefined ? select : select.where('plugin_id', 'in', chunk)).execute();
  });
  return { plugins, dependencies, machineGroups, publications };
}

function perPlugin<R>(ids: string[] | undefined, read: (chunk: string[] | undefined) => Promise<R[]>): Promise<R[]> {
  return ids === undefined ? read(undefined) : inChunks(ids, read);
}

/** Envelopes (JSON) of the versions with these digests, deleted ones left out. */
export async function recordsByDigest(
  tx: Tx,
  digests: readonly string[],
): Promise<{ id: string; digest: string; record: string }[]> {
  return inChunks(digests, (chunk) =>
    tx
      .selectFrom('plugins')
      .select(['id', 'checksum as digest', 'record'])
      .where('checksum', 'in', chunk)
      .where('status', '!=', 'deleted')
      .execute(),
  );
}

/** sha256 and size of all blobs of the versions with these digests. */
export async function blobsOfDigests(tx: Tx, digests: readonly string[]): Promise<{ sha256: string; size: number }[]> {
  return inChunks(digests, (chunk) =>
    tx
      .selectFrom('plugin_files')
      .innerJoin('plugins', 'plugins.id', 'plugin_files.plugin_id')
      .select(['plugin_files.checksum as sha256', 'plugin_files.size as size'])
      .distinct()
      .where('plugins.checksum', 'in', chunk)
      .execute(),
  );
}

/** @param deprecatedBefore of a version that is yanked: why it was deprecated until then; null when it was not */
export async function setPluginStatus(
  tx: Tx,
  id: string,
  status: VersionStatus,
  reason: string,
  at: string,
  deprecatedBefore: string | null = null,
): Promise<void> {
  await tx
    .updateTable('plugins')
    .set({
      status,
      status_reason: reason,
      deprecated_before: deprecatedBefore,
      updated_at: at,
      ...(status === 'published' ? { published_at: at } : {}),
    })
    .where('id', '=', id)
    .execute();
}

/** Offers a version to targets (groups or `*`), beside those it was offered to before. */
export async function addPublications(
  tx: Tx,
  id: string,
  targets: readonly string[],
  notify: boolean,
  by: string,
  at: string,
): Promise<void> {
  const flag = notify ? 1 : 0;
  for (const target of targets) {
    await tx
      .insertInto('publications')
      .values({ plugin_id: id, target, notify: flag, by, at })
      .onConflict((oc) => oc.columns(['plugin_id', 'target']).doUpdateSet({ notify: flag, by, at }))
      .execute();
  }
}

/** Deletes a version's files; the row stays as the tombstone, the blobs until they are collected. */
export async function deletePluginFiles(tx: Tx, id: string): Promise<void> {
  await tx.deleteFrom('plugin_files').where('plugin_id', '=', id).execute();
}
