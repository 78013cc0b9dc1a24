import * as z from 'zod';
import { ROLES } from './roles.ts';

/** The data that travels between hub and clients, as zod schemas: hub, client, OpenAPI and tests use these alone. */

/** DSSE. What is signed: `DSSEv1 BYTES payloadType BYTES payload`, each with the number of its bytes, the payload decoded. */
export const Envelope = z.object({
  payloadType: z.string(),
  payload: z.string().describe('JSON in base64'),
  signatures: z.array(
    z.object({
      keyid: z.string().describe('first 32 hex digits of the sha256 of the raw public key'),
      sig: z
        .string()
        .describe(
          'base64 of the Ed25519 signature of `DSSEv1 LENGTH payloadType LENGTH payload`, lengths in bytes, payload decoded',
        ),
    }),
  ),
});

/** A plan; `delta` (and an empty payload) where the caller takes deltas (A-IM: hv) and the hub knows the plan it has. */
export const PlanReply = Envelope.extend({
  delta: z
    .object({
      /** The etag of the plan that this one differs from. */
      base: z.string(),
      /** A record and no object of known keys: those would come first, and the order of keys is part of what was signed. */
      plan: z.record(z.string(), z.unknown()),
    })
    .optional(),
});

export const Along = z
  .array(z.string())
  .default([])
  .describe('plugins that leave with it, because it needs them and they need it');
export const VersionStatus = z.enum(['registered', 'published', 'deprecated', 'yanked', 'revoked', 'deleted']);

export const DependencySchema = z.object({
  name: z.string(),
  range: z.string(),
  kind: z.enum(['required', 'optional']),
});

export const Finding = z.object({
  code: z.string(),
  severity: z.enum(['error', 'warning', 'note']),
  file: z.string(),
  line: z.number().int().nullable(),
  column: z.number().int().nullable(),
  message: z.string(),
  fix: z.string(),
});

export const PluginSummary = z.object({
  id: z.string(),
  name: z.string(),
  version: z.string(),
  description: z.string(),
  author: z.string(),
  status: VersionStatus,
  /** Groups it is published to; `*` means all. */
  groups: z.array(z.string()),
  required_capabilities: z.array(z.string()),
  digest: z.string(),
  /** Number of machines that report it installed. */
  installed_count: z.number().int(),
  updated_at: z.string(),
});

const FileRow = z.object({
  path: z.string(),
  type: z.enum(['command', 'agent', 'skill', 'hook', 'mcp', 'other']),
  sha256: z.string(),
  size: z.number().int(),
  executable: z.boolean(),
});

export const PluginDetails = PluginSummary.extend({
  status_reason: z.string().optional().describe('why it was deprecated, yanked or revoked'),
  machine_groups: z.array(z.string()),
  manifest: z.record(z.string(), z.unknown()),
  original_manifest: z.record(z.string(), z.unknown()).nullable(),
  dependencies: z.array(DependencySchema),
  files: z.array(FileRow),
  /** What it can do on a machine, by kind. */
  surface: z.record(z.string(), z.array(z.string())).optional(),
  publisher: z.string(),
  imported: z.boolean(),
  /** Where the hub took it from: an address, a commit, an import's folder. Null where its author packed it. */
  origin: z.string().nullable().optional(),
  versions: z.array(z.object({ id: z.string(), version: z.string(), status: VersionStatus, created_at: z.string() })),
  installed_on: z.array(z.object({ machine: z.string(), version: z.string(), state: z.string() })),
  created_at: z.string(),
});

export const Registered = z.object({
  id: z.string(),
  name: z.string(),
  version: z.string(),
  digest: z.string(),
  status: VersionStatus,
  /** False when the same bytes were registered before. */
  created: z.boolean(),
  findings: z.array(Finding),
});

/** Groups whose number of approvals a version lacks, that number, and who has approved. */
export const Withheld = z.object({
  groups: z.array(z.string()),
  approvals: z.number().int(),
  by: z.array(z.string()),
});

export const Published = z.object({
  id: z.string(),
  name: z.string(),
  version: z.string(),
  digest: z.string(),
  status: VersionStatus,
  groups: z.array(z.string()),
  /** Names of the machines whose desired state now holds this version. */
  machines: z.array(z.string()),
  /** Machines that it fits and that should have another version of the plugin all the same, by that version. */
  instead: z.array(z.object({ version: z.string(), machines: z.array(z.string()) })).optional(),
  seq: z.number().int(),
  /** Set while machines of some groups wait for more operators to approve the digest. */
  withheld: Withheld.optional(),
  /** Set when the version before it has another key, which names this one nowhere: machines that know that one refuse this version. */
  changed_key: z.object({ keyid: z.string(), before: z.string(), version: z.string() }).optional(),
  /** Set when it differs from a version that was revoked in nothing but its number. */
  revoked_content: z.object({ version: z.string(), reason: z.string() }).optional(),
  /** Set when the publication waits until an operator approves the digest. */
  held: z
    .object({
      reason: z.string(),
      added: z.record(z.string(), z.array(z.string())),
      code: z.array(z.string()),
    })
    .optional(),
});

export const SearchHit = PluginSummary.extend({ score: z.number(), reason: z.string() });

/** A plugin as a machine reports it. */
export const InstalledState = z.enum([
  'fetching',
  'verifying',
  'installing',
  'verified',
  'loaded',
  'failed',
  'waiting',
  'disabled',
  'removing',
]);
export const ReportedPlugin = z.object({
  name: z.string(),
  version: z.string(),
  digest: z.string(),
  state: InstalledState,
  install_path: z.string().optional(),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
  /** True when the files on disk differ from what was installed (the user's edits). */
  edited: z.boolean().optional(),
});

export const StatusReport = z.object({
  /** Plan counter that the machine acted on. */
  counter: z.number().int(),
  haivemind_version: z.string(),
  plugins: z.array(ReportedPlugin),
  /** True when `plugins` holds only what is news and the others are as they were reported last. */
  partial: z.boolean().default(false),
  /** Names that are gone since; only in a partial report. */
  removed: z.array(z.string()).default([]),
  /** Local holds made by a rollback: name → version that stays. */
  holds: z.array(z.object({ name: z.string(), version: z.string() })),
  capabilities: z.array(z.string()).optional(),
  /** Why this machine does not follow the hub's plan; absent where it does. */
  refused: z.object({ code: z.string(), message: z.string() }).optional(),
  /** When this was read, by the machine's clock: what was read before the last report is old, and to be read again. */
  as_of: z
    .number()
    .int()
    .min(0)
    .optional()
    .describe('milliseconds; REPORT_OUTDATED with `as_of` in the details where the hub has heard of a later one'),
});

export type StatusReport = z.output<typeof StatusReport>;

/** Asked before anything is written down, so that an order by who will not follow the plan is none. */
export const Followed = z
  .object({
    epoch: z.number().int(),
    counter: z.number().int(),
    lineage: z.array(z.tuple([z.string(), z.number().int()])).optional(),
  })
  .optional()
  .describe(
    'a machine that orders for itself: the place of the last plan that it followed; PLAN_REPLAYED, and no order, where it will not follow the next',
  );

export const OverrideKind = z.enum(['install', 'pin', 'hold', 'exclude']);
export const Override = z.object({
  name: z.string(),
  kind: OverrideKind,
  range: z.string(),
  by: z.string(),
  at: z.string(),
});

export const Machine = z.object({
  id: z.string(),
  name: z.string(),
  groups: z.array(z.string()),
  capabilities: z.array(z.string()),
  platform: z.string(),
  haivemind_version: z.string(),
  joined_at: z.string(),
  last_seen: z.string().nullable(),
  online: z.boolean(),
});

/** Absent: a hub that does not know. */
const Refused = z
  .object({ code: z.string(), message: z.string(), at: z.string() })
  .nullable()
  .optional()
  .describe(
    "why the machine does not follow this hub's plans, as it said itself; null: it has not said that it does not",
  );

export const MachineDetails = Machine.extend({
  plugins: z.array(ReportedPlugin.extend({ updated_at: z.string() })),
  desired: z.array(z.object({ name: z.string(), version: z.string(), origin: z.string() })),
  overrides: z.array(Override),
  problems: z.array(z.object({ name: z.string(), code: z.string(), message: z.string() })),
  refused: Refused,
});

/** What one machine has of what it should have, as it last reported. */
export const MachineState = Machine.pick({ id: true, name: true, groups: true, last_seen: true, online: true }).extend({
  in_step: z
    .boolean()
    .describe("true: it reported exactly what it should have, all of it is well, and it follows this hub's plans"),
  plugins: z.array(
    z.object({
      name: z.string(),
      installed: z.string().nullable(),
      desired: z.string().nullable(),
      state: z.enum([...InstalledState.options, 'absent']),
      drift: z.boolean().describe('true: installed and desired differ, or files were edited or deleted'),
      edited: z.boolean(),
      error: z.object({ code: z.string(), message: z.string() }).nullable(),
      updated_at: z.string().nullable(),
    }),
  ),
  problems: z.array(z.object({ name: z.string(), code: z.string(), message: z.string() })),
  refused: Refused,
});

export const Explanation = z.object({
  name: z.string(),
  machine: z.string(),
  desired: z
    .object({ version: z.string(), origin: z.enum(['published', 'explicit', 'dependency']), pinned: z.boolean() })
    .nullable(),
  installed: z.string().nullable(),
  reasons: z.array(
    z.object({
      kind: z.enum(['published', 'override', 'dependency', 'dependent', 'version', 'problem']),
      text: z.string(),
    }),
  ),
});

export const Joined = z.object({
  machine: z.object({
    id: z.string(),
    name: z.string(),
    groups: z.array(z.string()),
    capabilities: z.array(z.string()),
  }),
  token: z.string(),
  hub: z.object({ id: z.string(), public_key: z.string(), epoch: z.number().int(), version: z.string() }),
});

export const TokenRow = z.object({
  id: z.string(),
  name: z.string(),
  roles: z.array(z.enum(ROLES)),
  created_at: z.string(),
  expires_at: z.string().nullable(),
  last_used_at: z.string().nullable(),
  revoked_at: z.string().nullable(),
});

export const EventRow = z.object({
  seq: z.number().int(),
  type: z.string(),
  at: z.string(),
  data: z.record(z.string(), z.unknown()),
});

export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  code: z.string(),
  detail: z.string(),
  hint: z.string(),
  details: z.record(z.string(), z.unknown()).optional(),
  request_id: z.string().optional(),
});

export const ComponentKind = z.enum(['command', 'agent', 'skill', 'hook', 'mcp']);

const listQuery = {
  machine_group: z.string().optional().describe('only plugins published to this group (or to all)'),
  capability_filter: z
    .string()
    .optional()
    .describe('comma-separated: only plugins whose required capabilities are among these'),
  status: VersionStatus.optional(),
  author: z.string().optional(),
  component: ComponentKind.optional(),
};

export const ListQuery = z.object({
  ...listQuery,
  installed_only: z
    .stringbool()
    .optional()
    .describe('only plugins installed on the asking machine (or on any, for other tokens)'),
  search_query: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  after: z.string().optional().describe('the `next` of the page before'),
});

export const SearchBody = z.object({
  ...listQuery,
  search_query: z.string().min(1).max(2000),
  keywords: z.array(z.string().max(100)).max(30).default([]),
  installed_only: z
    .boolean()
    .default(false)
    .describe('only plugins installed on the asking machine (or on any, for other tokens)'),
  limit: z.number().int().min(1).max(50).default(10),
});
