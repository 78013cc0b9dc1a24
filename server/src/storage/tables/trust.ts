/** Tables of who and what is trusted. */

/** What a version can do, computed when it was registered. */
export interface PluginSurfacesTable {
  plugin_id: string;
  digest: string;
  /** domain/surface as JSON. */
  surface: string;
  /** JSON object: path of a file that runs → its sha256. */
  code: string;
}

/** What the publisher of a plugin that declares nothing accepted last. */
export interface AcceptedSurfacesTable {
  name: string;
  plugin_id: string;
  digest: string;
  /** domain/surface as JSON. */
  surface: string;
  by: string;
  at: string;
}

/** An operator has looked at these bytes. */
export interface ApprovalsTable {
  digest: string;
  plugin_id: string;
  by: string;
  at: string;
  /** DSSE envelope signed with the operator's key, JSON; null where only the token says so. */
  envelope: string | null;
}

/** An approval of one operator: several are counted for groups that demand it. */
export interface ApprovalVotesTable extends ApprovalsTable {}

/** How many operators must have approved what a group gets. */
export interface GroupQuorumsTable {
  /** `*` as wildcard. */
  group: string;
  approvals: number;
  by: string;
  at: string;
}

/** A publication that waits for an approval. */
export interface HeldPublicationsTable {
  plugin_id: string;
  /** JSON array of groups. */
  targets: string;
  notify: number;
  by: string;
  at: string;
}

export interface RevocationsTable {
  plugin_id: string;
  name: string;
  version: string;
  digest: string;
  reason: string;
  by: string;
  at: string;
}

/** Who had a version when it was revoked. */
export interface RevocationHoldersTable {
  plugin_id: string;
  machine_id: string;
  machine: string;
  /** When it was installed there. */
  since: string;
  /** When the machine reported that it is gone. */
  confirmed_at: string | null;
}

/** A publisher's old key names the new one. */
export interface KeyStatementsTable {
  /** Of the old key. */
  keyid: string;
  envelope: string;
  at: string;
}

/** No row: no limit. */
export interface TokenLimitsTable {
  token_id: string;
  max_uses: number | null;
  uses: number;
  /** JSON array: groups that a join token may give, or that a publisher may publish to. */
  groups: string | null;
}
