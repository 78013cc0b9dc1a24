import semverCompare from 'semver/functions/compare.js';
import type { Quorum, Registry, RegistryVersion, VersionStatus } from '../../domain/desired/registry.ts';
import type { DependencyKind } from '../../domain/version/manifest.ts';
import type { FileType } from '../../domain/version/record.ts';
import { eventsAfter } from '../../storage/queries/events.ts';
import { type CatalogueRows, readCatalogue } from '../../storage/queries/plugins.ts';
import { approvers, listQuorums } from '../../storage/queries/trust.ts';
import type { Store } from '../../storage/store.ts';
import type { Tx } from '../../storage/tables/index.ts';

/** A version with what lists and searches show of it. */
export interface CatalogueVersion extends RegistryVersion {
  description: string;
  author: string;
  authorOrg: string | null;
  publisher: string;
  /** The token (the first of its rotations) that registered it; null where only the name is known. */
  publisherToken: string | null;
  imported: boolean;
  statusReason: string;
  components: readonly FileType[];
  /** plugin.json as shipped, JSON text. */
  manifest: string;
  createdAt: string;
  updatedAt: string;
}

/** The registry as it was at `seq`. Never changed: a later seq gets a catalogue of its own, of the same plugins where none changed. */
export interface Catalogue extends Registry {
  plugins: ReadonlyMap<string, readonly CatalogueVersion[]>;
  byId: ReadonlyMap<string, CatalogueVersion>;
  /** Groups (or patterns) that take only approved versions by the hub's configuration; `quorums` holds them too. */
  approvalGroups: readonly string[];
}

/** Past so many events since the last look, reading everything costs less than reading what changed. */
const MAX_EVENTS = 500;

interface Cache {
  catalogue: Catalogue | undefined;
  loading: Promise<Catalogue> | undefined;
  approvalGroups: readonly string[];
}
const caches = new WeakMap<Store, Cache>();

/** Said once, before anything is read: what every catalogue of this store demands of these groups (or patterns), whatever admins say. */
export function demandApprovals(store: Store, approvalGroups: readonly string[]): void {
  caches.set(store, { catalogue: undefined, loading: undefined, approvalGroups });
}

/** What desired state is computed from, of now. */
export function loadRegistry(store: Store): Promise<Registry> {
  return loadCatalogue(store);
}

/**
 * The catalogue of now: what was committed before the call is in it. Reads only the plugins whose events came since
 * the last call; the memory is a cache of the database, never a truth of its own.
 */
export async function loadCatalogue(store: Store): Promise<Catalogue> {
  let cache = caches.get(store);
  if (cache === undefined) {
    cache = { catalogue: undefined, loading: undefined, approvalGroups: [] };
    caches.set(store, cache);
  }
  const mine = cache;
  const seq = await store.currentSeq();
  for (;;) {
    if (mine.catalogue?.seq === seq) return mine.catalogue;
    // A load that began before our look at seq may end short of it; then the next one is ours.
    mine.loading ??= store
      .snapshot((tx) => catalogueIn(tx, mine.catalogue, mine.approvalGroups))
      .then((catalogue) => {
        mine.catalogue = catalogue;
        return catalogue;
      })
      .finally(() => {
        mine.loading = undefined;
      });
    const loaded = await mine.loading;
    if (loaded.seq >= seq) return loaded;
  }
}

/** The catalogue as a transaction sees it; of what `known` holds only what changed since is read. */
export async function catalogueIn(
  tx: Tx,
  known: Catalogue | undefined,
  approvalGroups = known?.approvalGroups ?? [],
): Promise<Catalogue> {
  const seq = await seqOf(tx);
  const quorums = await quorumsIn(tx, approvalGroups);
  const changed = known === undefined ? undefined : await changedNames(tx, known.seq, seq);
  // Most events are of machines: then the plugins are the same ones, and what was made of them stays good.
  if (known !== undefined && changed?.length === 0) return { ...known, seq, quorums };
  const rows = await readCatalogue(tx, changed);
  const plugins = new Map<string, readonly CatalogueVersion[]>(changed === undefined ? [] : known?.plugins);
  for (const name of changed ?? []) plugins.delete(name);
  for (const [name, versions] of toVersions(rows, await approvers(tx))) plugins.set(name, versions);
  const byId = new Map<string, CatalogueVersion>();
  for (const versions of plugins.values()) for (const version of versions) byId.set(version.id, version);
  return { seq, plugins, byId, quorums, approvalGroups };
}

async function quorumsIn(tx: Tx, approvalGroups: readonly string[]): Promise<Quorum[]> {
  const set = await listQuorums(tx);
  const further = approvalGroups.filter((group) => !set.some((q) => q.group === group));
  return [...set, ...further.map((group) => ({ group, approvals: 1 }))];
}

async function seqOf(tx: Tx): Promise<number> {
  const row = await tx.selectFrom('counters').select('value').where('name', '=', 'seq').executeTakeFirstOrThrow();
  return row.value;
}

/** Names that the events of plugins since `from` speak of; undefined when everything must be read. */
async function changedNames(tx: Tx, from: number, to: number): Promise<string[] | undefined> {
  if (to < from || to - from > MAX_EVENTS) return undefined;
  const names = new Set<string>();
  for (const event of await eventsAfter(tx, from, MAX_EVENTS + 1)) {
    if (!event.type.startsWith('plugin.')) continue;
    if (typeof event.data.name !== 'string') return undefined;
    names.add(event.data.name);
  }
  return [...names];
}

function toVersions(
  rows: CatalogueRows,
  approvedBy: ReadonlyMap<string, readonly string[]>,
): Map<string, CatalogueVersion[]> {
  const dependencies = group(rows.dependencies);
  const machineGroups = group(rows.machineGroups);
  const publications = group(rows.publications);
  const byName = new Map<string, CatalogueVersion[]>();
  for (const row of rows.plugins) {
    const version: CatalogueVersion = {
      id: row.id,
      name: row.name,
      version: row.version,
      digest: row.checksum,
      status: row.status as VersionStatus,
      targets: (publications.get(row.id) ?? []).map((p) => ({ group: p.target, notify: p.notify === 1 })),
      machineGroups: (machineGroups.get(row.id) ?? []).map((g) => g.machine_group),
      requiredCapabilities: JSON.parse(row.required_capabilities) as string[],
      minHaivemindVersion: row.min_haivemind_version,
      dependencies: (dependencies.get(row.id) ?? []).map((d) => ({
        name: d.name,
        range: d.range,
        kind: d.kind as DependencyKind,
      })),
      description: row.description,
      author: row.author_name,
      authorOrg: row.author_org,
      publisher: row.publisher,
      publisherToken: row.publisher_token,
      imported: row.imported === 1,
      statusReason: row.status_reason,
      components: JSON.parse(row.components) as FileType[],
      manifest: row.manifest,
      publishedAt: row.published_at,
      approvedBy: approvedBy.get(row.checksum) ?? [],
      createdAt: row.created_at,
      updatedAt: row.updated_at,
    };
    const list = byName.get(row.name);
    if (list === undefined) byName.set(row.name, [version]);
    else list.push(version);
  }
  for (const list of byName.values()) list.sort((a, b) => semverCompare(b.version, a.version));
  return byName;
}

function group<T extends { plugin_id: string }>(rows: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const list = groups.get(row.plugin_id);
    if (list === undefined) groups.set(row.plugin_id, [row]);
    else list.push(row);
  }
  return groups;
}
