import * as z from 'zod';
import { COLLECTIVE_ENDPOINTS } from './collective-endpoints.ts';
import { RECOMMEND_ENDPOINTS } from './recommend-endpoints.ts';
import { ROLES, type Role } from './roles.ts';
import * as s from './schemas.ts';
import { TRUST_ENDPOINTS } from './trust-endpoints.ts';
import { USAGE_ENDPOINTS } from './usage-endpoints.ts';

/**
 * Every REST endpoint as data. The hub routes from it, the client calls from it, /openapi.json is written from it.
 * `access` lists the roles that may call; admin may call all; `public` needs no token; `self` in a comment
 * means that a machine's token reaches only its own {machine} (checked by the use case, id `me`).
 */
export interface Endpoint {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  summary: string;
  access: readonly Role[] | 'public';
  query?: z.ZodType;
  /** JSON body; `frames` and `bytes` bodies are streamed to the use case. */
  body?: z.ZodType | 'frames';
  reply: z.ZodType | 'frames' | 'bytes' | 'text';
}

const any: readonly Role[] = ROLES.filter((r) => r !== 'join');
const plugin = '{id}';
const empty = z.object({ ok: z.literal(true) });

export const ENDPOINTS = {
  healthz: {
    method: 'GET',
    path: '/healthz',
    summary: 'The process lives',
    access: 'public',
    reply: z.object({ status: z.literal('ok') }),
  },
  readyz: {
    method: 'GET',
    path: '/readyz',
    summary: 'The hub can serve: database reachable, not draining',
    access: 'public',
    reply: z.object({ status: z.enum(['ready', 'draining', 'unavailable']) }),
  },
  metrics: { method: 'GET', path: '/metrics', summary: 'Prometheus metrics', access: 'public', reply: 'text' },
  openapi: {
    method: 'GET',
    path: '/openapi.json',
    summary: 'This API as OpenAPI 3.1',
    access: 'public',
    reply: z.record(z.string(), z.unknown()),
  },
  bundleInfo: {
    method: 'GET',
    path: '/hv.json',
    summary: 'Version and sha256 of the machine bundle',
    access: 'public',
    reply: z.object({ version: z.string(), sha256: z.string(), size: z.number().int(), protocol: z.number().int() }),
  },
  bundle: {
    method: 'GET',
    path: '/hv.mjs',
    summary: 'The machine bundle: `hv` as one JavaScript file',
    access: 'public',
    reply: 'bytes',
  },

  whoami: {
    method: 'GET',
    path: '/api/whoami',
    summary: 'What the token may do, and which hub this is',
    access: ROLES,
    reply: z.object({
      token: z.object({ id: z.string(), name: z.string(), roles: z.array(z.enum(ROLES)) }),
      machine: z.object({ id: z.string(), name: z.string() }).nullable(),
      hub: z.object({ id: z.string(), public_key: z.string(), epoch: z.number().int(), version: z.string() }),
    }),
  },

  blobsMissing: {
    method: 'POST',
    path: '/api/blobs/missing',
    summary: 'Which of these blobs the hub lacks',
    access: ['operator', 'publisher', 'contributor'],
    body: z.object({ sha256: z.array(z.string().regex(/^[0-9a-f]{64}$/)).max(20_000) }),
    reply: z.object({ missing: z.array(z.string()) }),
  },
  /** Immutable; a machine reads only blobs of versions that it may see. Served with content-encoding br where the client accepts it. */
  blob: { method: 'GET', path: '/api/blobs/{sha256}', summary: 'The bytes of one blob', access: any, reply: 'bytes' },
  transfer: {
    method: 'POST',
    path: '/api/transfer',
    summary:
      'Records of the wanted versions and the blobs that neither `have` versions nor `have_blobs` hold, in one framed answer',
    access: any,
    body: z.object({
      versions: z.array(z.string()).max(2000).describe('digests wanted'),
      have: z.array(z.string()).max(5000).default([]).describe('digests of versions whose blobs are already here'),
      have_blobs: z.array(z.string()).max(50_000).default([]),
      forms: z
        .array(z.string().max(20))
        .max(20)
        .default([])
        .describe(
          'frames beside records and blobs that the caller can read: delta, batch; others mean nothing to this hub',
        ),
    }),
    reply: 'frames',
  },

  register: {
    method: 'POST',
    path: '/api/plugins/register',
    summary:
      'Register a version: a framed body (record, original-manifest?, blobs), or JSON with plugin_archive (base64 zip) or plugin_url',
    access: ['operator', 'publisher', 'contributor'],
    body: 'frames',
    reply: s.Registered,
  },
  publish: {
    method: 'POST',
    path: '/api/plugins/publish',
    summary: 'Publish a registered version to groups',
    access: ['operator', 'publisher'],
    body: z.object({
      plugin_id: z.string().describe('id or NAME[@RANGE]'),
      target_groups: z.array(z.string()).optional(),
      all: z.boolean().default(false).describe('publish to every machine'),
      notify_agents: z.boolean().default(true),
      dry_run: z.boolean().default(false),
      accept_surface: z
        .boolean()
        .default(false)
        .describe('the caller has seen what the plugin does and accepts it as its declaration'),
    }),
    reply: s.Published,
  },
  list: {
    method: 'GET',
    path: '/api/plugins',
    summary: 'The newest version of each plugin, filtered',
    access: any,
    query: s.ListQuery,
    reply: z.object({ plugins: z.array(s.PluginSummary), next: z.string().nullable() }),
  },
  listAlias: {
    method: 'GET',
    path: '/api/plugins/list',
    summary: 'The same as GET /api/plugins',
    access: any,
    query: s.ListQuery,
    reply: z.object({ plugins: z.array(s.PluginSummary), next: z.string().nullable() }),
  },
  search: {
    method: 'POST',
    path: '/api/plugins/search',
    summary: 'Search in words, best first',
    access: any,
    body: s.SearchBody,
    reply: z.object({
      results: z.array(s.SearchHit),
      /** Nothing fits well: the results are the nearest there is. */
      weak: z.boolean().default(false),
      /** Which index answered for meaning: `embedded` or `chroma`. */
      backend: z.string(),
      /** Why it was not the one that is configured. */
      note: z.string().optional(),
    }),
  },
  syncAll: {
    method: 'POST',
    path: '/api/plugins/sync',
    summary: "What a machine would change now; with an operator's token, ring every machine (or the named ones)",
    access: ['operator', 'machine'],
    body: z.object({
      force: z.boolean().default(false),
      dry_run: z.boolean().default(false),
      target_machines: z.array(z.string()).optional(),
    }),
    reply: z.object({
      machines: z.array(
        z.object({
          machine: z.string(),
          desired: z.number().int(),
          changes: z.array(
            z.object({
              name: z.string(),
              from: z.string().nullable(),
              to: z.string().nullable(),
            }),
          ),
        }),
      ),
      rung: z.boolean(),
    }),
  },
  info: {
    method: 'GET',
    path: `/api/plugins/${plugin}`,
    summary: 'Details and files of one version',
    access: any,
    reply: s.PluginDetails,
  },
  remove: {
    method: 'DELETE',
    path: `/api/plugins/${plugin}`,
    summary: 'Delete a version (an id) or every version (a name); a tombstone stays',
    access: ['operator', 'publisher'],
    reply: z.object({ deleted: z.array(z.string()), seq: z.number().int() }),
  },
  setStatus: {
    method: 'POST',
    path: `/api/plugins/${plugin}/status`,
    summary: 'Deprecate, yank or publish again',
    access: ['operator', 'publisher'],
    body: z.object({ status: z.enum(['published', 'deprecated', 'yanked']), reason: z.string().max(500).default('') }),
    reply: z.object({ id: z.string(), status: s.VersionStatus, seq: z.number().int() }),
  },
  install: {
    method: 'POST',
    path: `/api/plugins/${plugin}/install`,
    summary: 'Put a plugin into the desired state of machines',
    access: ['operator', 'machine'],
    body: z.object({
      version: z.string().default('latest'),
      target_machines: z.array(z.string()).optional(),
      force: z.boolean().default(false),
    }),
    reply: z.object({
      id: z.string(),
      name: z.string(),
      version: z.string(),
      pinned: z.boolean(),
      machines: z.array(
        z.object({ machine: z.string(), version: z.string().nullable(), problem: z.string().nullable() }),
      ),
      /** Sentences for the caller: what was installed is deprecated, and the like. */
      warnings: z.array(z.string()),
      seq: z.number().int(),
    }),
  },
  uninstall: {
    method: 'POST',
    path: `/api/plugins/${plugin}/uninstall`,
    summary: 'Take a plugin out of the desired state of machines',
    access: ['operator', 'machine'],
    body: z.object({ target_machines: z.array(z.string()).optional() }),
    reply: z.object({ name: z.string(), machines: z.array(z.string()), seq: z.number().int() }),
  },

  join: {
    method: 'POST',
    path: '/api/machines/join',
    summary: 'Trade a token that may join for a machine token',
    access: ['join', 'operator'],
    body: z.object({
      name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/),
      platform: z.string().max(64),
      haivemind_version: z.string().max(64),
      groups: z.array(z.string().max(64)).max(100).default([]),
      capabilities: z.array(z.string().max(64)).max(200).default([]),
      /** The machine's own secret from an earlier join: lets it take its name again. */
      machine_token: z.string().optional(),
      /** Ed25519, raw, base64: from then on this machine's requests are signed with its other half. */
      public_key: z
        .string()
        .regex(/^[A-Za-z0-9+/]{43}=$/)
        .optional(),
    }),
    reply: s.Joined,
  },
  machines: {
    method: 'GET',
    path: '/api/machines',
    summary: 'All machines',
    access: ['operator', 'publisher', 'reader'],
    query: z.object({
      group: z.string().optional(),
      limit: z.coerce.number().int().min(1).max(1000).default(200),
      after: z.string().optional(),
    }),
    reply: z.object({ machines: z.array(s.Machine), next: z.string().nullable() }),
  },
  /** {machine}: id, name, or `me` (self). */
  machine: {
    method: 'GET',
    path: '/api/machines/{machine}',
    summary: 'One machine: what it has, what it should have, why not',
    access: ['operator', 'reader', 'machine'],
    reply: s.MachineDetails,
  },
  updateMachine: {
    method: 'PATCH',
    path: '/api/machines/{machine}',
    summary: 'Change groups and capabilities',
    access: ['operator'],
    body: z.object({
      groups: z.array(z.string().max(64)).max(100).optional(),
      capabilities: z.array(z.string().max(64)).max(200).optional(),
    }),
    reply: s.Machine,
  },
  removeMachine: {
    method: 'DELETE',
    path: '/api/machines/{machine}',
    summary: 'Forget a machine and revoke its token (self, or an operator)',
    access: ['operator', 'machine'],
    reply: empty,
  },
  /** Answers 304 when If-None-Match names the current plan. The reply is a DSSE envelope of domain/plan. */
  plan: {
    method: 'GET',
    path: '/api/machines/{machine}/plan',
    summary: 'The signed plan of a machine (self)',
    access: ['operator', 'machine'],
    reply: s.PlanReply,
  },
  report: {
    method: 'POST',
    path: '/api/machines/{machine}/status',
    summary: 'What the machine has installed (self)',
    access: ['machine'],
    body: s.StatusReport,
    reply: empty,
  },
  fleet: {
    method: 'GET',
    path: '/api/status',
    summary: 'What machines have against what they should have: of one plugin, one machine, or everything',
    access: ['operator', 'publisher', 'reader'],
    query: z.object({
      plugin: z.string().optional().describe('only this plugin, and machines that have or should have it'),
      machine: z.string().optional().describe('only this machine, by name or id'),
      out_of_step: z.stringbool().optional().describe('only machines that are not in step'),
      limit: z.coerce.number().int().min(1).max(1000).default(200),
      after: z.string().optional(),
    }),
    reply: z.object({ machines: z.array(s.MachineState), next: z.string().nullable() }),
  },
  why: {
    method: 'GET',
    path: '/api/machines/{machine}/why/{name}',
    summary: 'Why a plugin is, or is not, on a machine',
    access: ['operator', 'reader', 'machine'],
    reply: s.Explanation,
  },
  setOverride: {
    method: 'PUT',
    path: '/api/machines/{machine}/overrides/{name}',
    summary: 'Pin, hold, exclude or install one plugin on one machine (self, or an operator)',
    access: ['operator', 'machine'],
    body: z.object({ kind: s.OverrideKind, range: z.string().max(100).default('*') }),
    reply: s.Override.extend({ seq: z.number().int() }),
  },
  clearOverride: {
    method: 'DELETE',
    path: '/api/machines/{machine}/overrides/{name}',
    summary: 'Back to what the groups say (self, or an operator)',
    access: ['operator', 'machine'],
    query: z.object({ kind: s.OverrideKind.optional().describe('only this kind; all kinds when absent') }),
    reply: z.object({ ok: z.literal(true), seq: z.number().int() }),
  },

  groups: {
    method: 'GET',
    path: '/api/groups',
    summary: 'Groups, their machines and plugins',
    access: ['operator', 'publisher', 'reader', 'machine'],
    reply: z.object({
      groups: z.array(
        z.object({
          name: z.string(),
          machines: z.array(z.string()),
          plugins: z.array(z.string()),
          approvals: z.number().int().default(0).describe('how many operators must have approved what it gets'),
        }),
      ),
    }),
  },
  events: {
    method: 'GET',
    path: '/api/events',
    summary: 'Events after a seq, oldest first',
    access: ['operator', 'publisher', 'reader', 'machine'],
    query: z.object({
      after: z.coerce.number().int().min(0).default(0),
      limit: z.coerce.number().int().min(1).max(1000).default(200),
    }),
    reply: z.object({ events: z.array(s.EventRow), seq: z.number().int() }),
  },
  audit: {
    method: 'GET',
    path: '/api/audit',
    summary: 'Who did what, newest first',
    access: ['operator'],
    query: z.object({
      before: z.coerce.number().int().optional(),
      limit: z.coerce.number().int().min(1).max(1000).default(100),
    }),
    reply: z.object({
      entries: z.array(
        z.object({
          id: z.number().int(),
          at: z.string(),
          actor: z.string(),
          action: z.string(),
          target: z.string(),
          data: z.record(z.string(), z.unknown()),
        }),
      ),
      next: z.number().int().nullable(),
    }),
  },
  createToken: {
    method: 'POST',
    path: '/api/tokens',
    summary: 'Make a token; its secret is shown once',
    access: ['admin'],
    body: z.object({
      name: z.string().min(1).max(64),
      roles: z.array(z.enum(ROLES)).min(1),
      expires_in_days: z.number().positive().max(3650).optional(),
      name_pattern: z.string().max(100).optional().describe('publisher: plugin names it may publish, `*` as wildcard'),
      max_uses: z.number().int().min(1).max(1_000_000).optional().describe('join: how many machines may join with it'),
      groups: z
        .array(z.string().max(64))
        .max(100)
        .optional()
        .describe('join: groups it may give; publisher: groups it may publish to'),
    }),
    reply: s.TokenRow.extend({ token: z.string() }),
  },
  tokens: {
    method: 'GET',
    path: '/api/tokens',
    summary: 'All tokens, without their secrets',
    access: ['admin'],
    reply: z.object({ tokens: z.array(s.TokenRow) }),
  },
  revokeToken: {
    method: 'DELETE',
    path: '/api/tokens/{token}',
    summary: 'Revoke a token at once',
    access: ['admin'],
    reply: empty,
  },
  ...TRUST_ENDPOINTS,
  ...COLLECTIVE_ENDPOINTS,
  ...USAGE_ENDPOINTS,
  ...RECOMMEND_ENDPOINTS,
} as const satisfies Record<string, Endpoint>;

export type EndpointName = keyof typeof ENDPOINTS;
type Def<N extends EndpointName> = (typeof ENDPOINTS)[N];

/** What a caller may write (defaults optional) and what the use case receives (defaults filled). */
export type BodyIn<N extends EndpointName> =
  Def<N> extends { body: infer B extends z.ZodType } ? z.input<B> : undefined;
export type Body<N extends EndpointName> = Def<N> extends { body: infer B extends z.ZodType } ? z.output<B> : undefined;
export type QueryIn<N extends EndpointName> =
  Def<N> extends { query: infer Q extends z.ZodType } ? z.input<Q> : undefined;
export type Query<N extends EndpointName> =
  Def<N> extends { query: infer Q extends z.ZodType } ? z.output<Q> : undefined;
export type Reply<N extends EndpointName> = Def<N>['reply'] extends z.ZodType ? z.output<Def<N>['reply']> : Buffer;
