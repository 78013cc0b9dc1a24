import * as z from 'zod';
import { ANY, type Endpoint } from './endpoint.ts';
import { REGISTER_HEADERS } from './headers.ts';
import * as s from './schemas.ts';

/** Plugins: their bytes, their versions, who they are published to. */

const plugin = '{id}';

/** Left out is the default of who asks. An empty list is refused: whoever named nobody has not asked for all. */
const targetMachines = z
  .array(z.string())
  .min(1, 'an empty list names no machine; name machines, or leave the field out')
  .optional()
  .describe('names or ids; left out: the machine that asks, for an operator every machine');

export const REGISTRY_ENDPOINTS = {
  blobsMissing: {
    method: 'POST',
    path: '/api/blobs/missing',
    summary: 'Which of these blobs the hub lacks',
    access: ['operator', 'publisher', 'contributor'],
    body: z.object({ sha256: z.array(z.string().regex(/^[0-9a-f]{64}$/)).max(20_000) }),
    reply: z.object({ missing: z.array(z.string()) }),
  },
  /** Immutable; a machine reads only blobs of versions that it may see. Served with content-encoding br where the client accepts it. */
  blob: { method: 'GET', path: '/api/blobs/{sha256}', summary: 'The bytes of one blob', access: ANY, reply: 'bytes' },
  transfer: {
    method: 'POST',
    path: '/api/transfer',
    summary:
      'Records of the wanted versions and the blobs that neither `have` versions nor `have_blobs` hold, in one framed answer',
    access: ANY,
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
    headers: REGISTER_HEADERS,
    body: 'frames',
    reply: s.Registered,
  },
  publish: {
    method: 'POST',
    path: '/api/plugins/publish',
    summary: 'Publish a registered version to groups',
    access: ['operator', 'publisher'],
    tool: true,
    body: z.object({
      plugin_id: z
        .string()
        .describe(
          'id or NAME[@RANGE]: what the caller registered last, else what is published; refused where that is not the newest',
        ),
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
  preview: {
    method: 'POST',
    path: '/api/plugins/preview',
    summary: 'Which machines would get a version that is not registered yet',
    access: ['operator', 'publisher'],
    body: z.object({
      name: z.string(),
      version: z.string(),
      digest: z.string(),
      machine_groups: z.array(z.string()).max(1000),
      required_capabilities: z.array(z.string()).max(1000),
      min_haivemind_version: z.string().nullable(),
      dependencies: z.array(s.DependencySchema).max(1000),
      target_groups: z.array(z.string()).max(1000).optional(),
      all: z.boolean().default(false),
    }),
    reply: s.Published.pick({ groups: true, machines: true, instead: true, held: true }).extend({
      may_be_held: z
        .boolean()
        .optional()
        .describe(
          'true where it depends on what the plugin does, which is not asked here, whether it waits for an operator',
        ),
    }),
  },
  list: {
    method: 'GET',
    path: '/api/plugins',
    summary: 'The newest version of each plugin, filtered',
    access: ANY,
    query: s.ListQuery,
    reply: z.object({ plugins: z.array(s.PluginSummary), next: z.string().nullable() }),
  },
  listAlias: {
    method: 'GET',
    path: '/api/plugins/list',
    summary: 'The same as GET /api/plugins',
    access: ANY,
    query: s.ListQuery,
    reply: z.object({ plugins: z.array(s.PluginSummary), next: z.string().nullable() }),
  },
  search: {
    method: 'POST',
    path: '/api/plugins/search',
    summary: 'Search in words, best first',
    access: ANY,
    tool: true,
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
    tool: true,
    body: z.object({
      force: z.boolean().default(false),
      dry_run: z.boolean().default(false),
      target_machines: targetMachines,
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
    access: ANY,
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
    body: z.object({
      status: z.enum(['published', 'deprecated', 'yanked']),
      reason: z.string().max(500).default(''),
      lifts: z
        .enum(['deprecated', 'yanked'])
        .optional()
        .describe('with published: lift only this; what was deprecated before it was yanked is deprecated again'),
    }),
    reply: z.object({ id: z.string(), status: s.VersionStatus, seq: z.number().int() }),
  },
  install: {
    method: 'POST',
    path: `/api/plugins/${plugin}/install`,
    summary: 'Put a plugin into the desired state of machines',
    access: ['operator', 'machine'],
    tool: true,
    body: z.object({
      version: z.string().default('latest'),
      target_machines: targetMachines,
      force: z.boolean().default(false),
      followed: s.Followed,
      bring: z
        .object({
          plan: z.string().max(200).optional().describe('etag of the plan that the machine has'),
          have: z
            .array(z.string())
            .max(100)
            .default([])
            .describe('digests of versions of the plugin that it has whole'),
        })
        .optional()
        .describe(
          'a machine that installs on itself: answer in frames, this reply first, then its plan and the versions that it lacks where they are not large',
        ),
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
    tool: true,
    body: z.object({ target_machines: targetMachines, followed: s.Followed }),
    reply: z.object({ name: z.string(), machines: z.array(z.string()), along: s.Along, seq: z.number().int() }),
  },
} as const satisfies Record<string, Endpoint>;
