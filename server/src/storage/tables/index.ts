import type { Generated, Kysely } from 'kysely';
import type { CollectiveTables } from './collective.ts';
import type {
  AcceptedSurfacesTable,
  ApprovalsTable,
  ApprovalVotesTable,
  GroupQuorumsTable,
  HeldPublicationsTable,
  KeyStatementsTable,
  PluginSurfacesTable,
  RevocationHoldersTable,
  RevocationsTable,
  TokenLimitsTable,
} from './trust.ts';
import type { UsageCountsTable, UsageDaysTable } from './usage.ts';

/**
 * Every table of the registry, the same on both engines. The seed's tables keep the seed's names; what was added
 * and why is docs/adr/0002. Timestamps are ISO-8601 text, JSON is text, flags are 0 or 1.
 */
export interface Tables extends CollectiveTables {
  plugins: PluginsTable;
  plugin_files: PluginFilesTable;
  plugin_installations: PluginInstallationsTable;
  installation_counts: InstallationCountsTable;
  plugin_dependencies: PluginDependenciesTable;
  plugin_machine_groups: PluginMachineGroupsTable;
  blobs: BlobsTable;
  publications: PublicationsTable;
  publisher_keys: PublisherKeysTable;
  machines: MachinesTable;
  machine_groups: MachineGroupsTable;
  machine_capabilities: MachineCapabilitiesTable;
  machine_keys: MachineKeysTable;
  overrides: OverridesTable;
  ordered_versions: OrderedVersionsTable;
  tokens: TokensTable;
  events: EventsTable;
  audit: AuditTable;
  counters: CountersTable;
  hub_meta: HubMetaTable;
  accepted_surfaces: AcceptedSurfacesTable;
  approval_votes: ApprovalVotesTable;
  group_quorums: GroupQuorumsTable;
  plugin_surfaces: PluginSurfacesTable;
  plugin_origins: PluginOriginsTable;
  approvals: ApprovalsTable;
  held_publications: HeldPublicationsTable;
  revocations: RevocationsTable;
  revocation_holders: RevocationHoldersTable;
  key_statements: KeyStatementsTable;
  token_limits: TokenLimitsTable;
  usage_counts: UsageCountsTable;
  usage_days: UsageDaysTable;
}

/** What a query function runs on: a transaction, or `store.read`. */
export type Tx = Kysely<Tables>;

export interface PluginsTable {
  /** `plugin_NAME_VERSION`. */
  id: string;
  name: string;
  version: string;
  description: string;
  author_name: string;
  author_org: string | null;
  /** plugin.json as shipped, JSON. */
  manifest: string;
  /** plugin.json as the author wrote it, where packing translated it. */
  original_manifest: string | null;
  /** The version's digest, `sha256:…` (the seed's column name). */
  checksum: string;
  /** DSSE envelope of the version record, JSON. */
  record: string;
  publisher: string;
  /** `tokens.origin` of who registered it; null for what was registered before that was kept. */
  publisher_token: string | null;
  publisher_keyid: string;
  imported: number;
  /** JSON array, out of the manifest: what desired state asks for every version at once. */
  required_capabilities: string;
  min_haivemind_version: string | null;
  /** JSON array of the file types the version has. */
  components: string;
  /** registered, published, deprecated, yanked, revoked, deleted; a deleted row is the tombstone. */
  status: string;
  status_reason: string;
  /** Of a yanked version that was deprecated before: why it was. */
  deprecated_before: string | null;
  created_at: string;
  updated_at: string;
  published_at: string | null;
}

export interface PluginOriginsTable {
  plugin_id: string;
  origin: string;
}

export interface PluginFilesTable {
  id: Generated<number>;
  plugin_id: string;
  file_path: string;
  file_type: string;
  /** `blobs.sha256` of the file's bytes. */
  checksum: string;
  size: number;
  executable: number;
  created_at: string;
}

export interface PluginInstallationsTable {
  id: Generated<number>;
  plugin_id: string;
  machine_id: string;
  name: string;
  installed_version: string;
  digest: string;
  installed_at: string;
  updated_at: string;
  /** A contract InstalledState. */
  status: string;
  install_path: string | null;
  error_code: string | null;
  error_message: string | null;
  edited: number;
}

/** A version that an operator ordered for a machine, now or once. */
export interface OrderedVersionsTable {
  machine_id: string;
  plugin_id: string;
}

export interface InstallationCountsTable {
  /** Of a plugin. */
  name: string;
  machines: number;
}

export interface PluginDependenciesTable {
  id: Generated<number>;
  plugin_id: string;
  depends_on_name: string;
  /** semver range. */
  depends_on_version: string;
  /** required or optional. */
  dependency_type: string;
}

/** Where the manifest lets a plugin go; no row: anywhere. */
export interface PluginMachineGroupsTable {
  id: Generated<number>;
  plugin_id: string;
  machine_group: string;
}

export interface BlobsTable {
  sha256: string;
  /** Bytes before compression. */
  size: number;
  /** identity or br. */
  encoding: string;
  data: Buffer;
  created_at: string;
}

export interface PublicationsTable {
  id: Generated<number>;
  plugin_id: string;
  /** A group's name, or `*` for every machine. */
  target: string;
  notify: number;
  by: string;
  at: string;
}

export interface PublisherKeysTable {
  keyid: string;
  token_id: string;
  public_key: string;
  publisher: string;
  first_seen: string;
  revoked_at: string | null;
}

export interface MachinesTable {
  id: string;
  name: string;
  platform: string;
  haivemind_version: string;
  joined_at: string;
  last_seen: string | null;
  /** Counter of the last plan it acted on. */
  plan_counter: number | null;
  /** JSON of `Refusal`; null where it follows this hub's plans. */
  refused: string | null;
  /** When what it reported last was read, as it says, milliseconds. */
  reported_as_of: number | null;
}

export interface MachineKeysTable {
  machine_id: string;
  /** Ed25519, raw, base64. */
  public_key: string;
  at: string;
}

export interface MachineGroupsTable {
  machine_id: string;
  group_name: string;
}

export interface MachineCapabilitiesTable {
  machine_id: string;
  capability: string;
}

export interface OverridesTable {
  machine_id: string;
  plugin_name: string;
  /** install, pin, hold or exclude. */
  kind: string;
  range: string;
  force_nonce: string | null;
  /** 1 when an operator said so, 0 when the machine itself. */
  by_operator: number;
  by: string;
  at: string;
}

export interface TokensTable {
  id: string;
  name: string;
  /** sha256 of the secret, hex. */
  hash: string;
  /** JSON array of roles. */
  roles: string;
  machine_id: string | null;
  name_pattern: string | null;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
  revoked_at: string | null;
  /** The first of the tokens out of which this one was rotated; null for one that is the first. */
  origin: string | null;
}

export interface EventsTable {
  seq: number;
  type: string;
  at: string;
  data: string;
}

export interface AuditTable {
  id: number;
  at: string;
  actor: string;
  action: string;
  target: string;
  data: string;
  prev_hash: string;
  hash: string;
}

export interface CountersTable {
  name: string;
  value: number;
}

export interface HubMetaTable {
  key: string;
  value: string;
}
