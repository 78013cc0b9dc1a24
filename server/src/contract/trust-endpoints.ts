import * as z from 'zod';
import type { Endpoint } from './endpoint.ts';
import { ROLES } from './roles.ts';
import * as s from './schemas.ts';

/** What says who and what is trusted: surfaces, approvals, revocations, keys, tokens, the audit's proof. */

const list = z.array(z.string());
export const Surface = z.object({
  tools: list,
  hook_events: list,
  commands: list,
  hosts: list,
  mcp_servers: list,
  environment: list,
  // A hub that is older does not say.
  files: list.default([]),
});
const SurfaceReply = z.object({
  id: z.string(),
  name: z.string(),
  version: z.string(),
  digest: z.string(),
  status: s.VersionStatus,
  surface: Surface,
  declared: z.boolean(),
  accepted: z
    .boolean()
    .default(true)
    .describe('a version of this plugin declared, was accepted or was offered: the next is only compared'),
  against: z.string().nullable(),
  added: Surface.partial(),
  removed: Surface.partial(),
  code_changed: list.describe('files that run and whose bytes differ'),
  approved: z.object({ by: z.string(), at: z.string(), signed: z.boolean() }).nullable(),
  held: z.object({ by: z.string(), at: z.string(), groups: list }).nullable(),
});

const revocation = z.object({
  id: z.string(),
  name: z.string(),
  version: z.string(),
  digest: z.string(),
  reason: z.string(),
  at: z.string(),
  holders: z.array(z.object({ machine: z.string(), since: z.string(), confirmed_at: z.string().nullable() })),
});
/** Of a revoked version: one session that used it, as far as machines have told; kept for 30 days. */
const session = z.object({
  machine: z.string(),
  session: z.string(),
  first_day: z.string(),
  last_day: z.string(),
  uses: z.number().int(),
});
const keyid = z.string().regex(/^[0-9a-f]{32}$/);

export const TRUST_ENDPOINTS = {
  surface: {
    method: 'GET',
    path: '/api/plugins/{id}/surface',
    summary: 'What a version can do on a machine, and how that differs from another version',
    access: ROLES.filter((r) => r !== 'join'),
    query: z.object({ against: z.string().optional().describe('a version; the one offered before when absent') }),
    reply: SurfaceReply,
  },
  reviews: {
    method: 'GET',
    path: '/api/reviews',
    summary:
      'What was registered and waits for an operator to publish or reject it, with what it does and what is found in it',
    access: ['operator'],
    query: z.object({
      plugin: z.string().optional().describe('only this version: an id or NAME@VERSION'),
      limit: z.coerce.number().int().min(1).max(100).default(20),
      after: z.string().optional().describe('the `next` of the page before'),
    }),
    reply: z.object({
      reviews: z.array(
        SurfaceReply.extend({
          publisher: z.string(),
          imported: z.boolean(),
          origin: z.string().nullable(),
          registered_at: z.string(),
          findings: z.array(s.Finding),
          withheld: s.Withheld.nullable(),
        }),
      ),
      waiting: z.number().int().describe('how many in all'),
      next: z.string().nullable(),
    }),
  },
  reject: {
    method: 'POST',
    path: '/api/plugins/{id}/reject',
    summary:
      'Send a version back that was never offered; its number cannot be used again. One that is offered is turned down for the groups it waits for',
    access: ['operator'],
    body: z.object({
      reason: z.string().min(1).max(500),
      digest: z.string().optional().describe('refused when the version has another digest'),
    }),
    reply: z.object({
      id: z.string(),
      name: z.string(),
      version: z.string(),
      digest: z.string(),
      groups: list.optional().describe('where one that is offered elsewhere does not go'),
      seq: z.number().int(),
    }),
  },
  approve: {
    method: 'POST',
    path: '/api/plugins/{id}/approve',
    summary: 'An operator has looked at these bytes: what was held is published',
    access: ['operator'],
    body: z.object({
      digest: z.string().optional().describe('refused when the version has another digest'),
      envelope: s.Envelope.optional().describe("the approval signed with the operator's key"),
      public_key: z
        .string()
        .regex(/^[A-Za-z0-9+/]{43}=$/)
        .optional()
        .describe('the key that signed `envelope`: Ed25519, raw, base64; demanded with it'),
    }),
    reply: z.object({
      id: z.string(),
      name: z.string(),
      version: z.string(),
      digest: z.string(),
      published: z.boolean(),
      groups: list,
      deprecated: z.string().optional().describe('why it was deprecated, which an approval does not lift'),
      withheld: s.Withheld.optional(),
      seq: z.number().int(),
    }),
  },
  setQuorum: {
    method: 'PUT',
    path: '/api/groups/{group}/approvals',
    summary:
      'How many operators must have approved a version before machines of a group (or pattern) get it; 0 for no such rule',
    access: ['admin'],
    body: z.object({ approvals: z.number().int().min(0).max(20) }),
    reply: z.object({ group: z.string(), approvals: z.number().int(), seq: z.number().int() }),
  },
  revoke: {
    method: 'POST',
    path: '/api/plugins/{id}/revoke',
    summary: 'Take one version, named by its id or as NAME@VERSION, back from every machine at once, for good',
    access: ['operator', 'publisher'],
    body: z.object({ reason: z.string().min(1).max(500) }),
    reply: revocation.extend({ seq: z.number().int() }),
  },
  revocations: {
    method: 'GET',
    path: '/api/revocations',
    summary: 'What was revoked, who had it since when, which sessions used it, and who confirmed that it is gone',
    access: ['operator', 'publisher', 'reader'],
    query: z.object({ plugin: z.string().optional().describe('the id of one version') }),
    reply: z.object({ revocations: z.array(revocation.extend({ by: z.string(), sessions: z.array(session) })) }),
  },
  keys: {
    method: 'GET',
    path: '/api/keys',
    summary: "Publishers' keys, and what old keys say of new ones",
    access: ROLES.filter((r) => r !== 'join'),
    reply: z.object({
      keys: z.array(
        z.object({
          keyid: z.string(),
          public_key: z.string(),
          publishers: list,
          first_seen: z.string(),
          revoked_at: z.string().nullable(),
        }),
      ),
      rotations: z.array(s.Envelope),
    }),
  },
  rotateKey: {
    method: 'POST',
    path: '/api/keys/rotate',
    summary: 'A publisher’s old key names the one that comes after it',
    access: ['operator', 'publisher', 'contributor'],
    body: z.object({ public_key: z.string().describe('the old key'), envelope: s.Envelope }),
    reply: z.object({ from: z.string(), to: z.string(), seq: z.number().int() }),
  },
  revokeKey: {
    method: 'DELETE',
    path: '/api/keys/{keyid}',
    summary: 'What this key signs from now on is refused everywhere',
    access: ['operator'],
    reply: z.object({ keyid, seq: z.number().int() }),
  },
  setEpoch: {
    method: 'POST',
    path: '/api/hub/epoch',
    summary: 'Begin a new epoch after a restore, with the operator’s signature',
    access: ['admin'],
    body: z.object({ epoch: z.number().int().min(1), envelope: s.Envelope.optional() }),
    reply: z.object({ epoch: z.number().int(), seq: z.number().int() }),
  },
  rotateToken: {
    method: 'POST',
    path: '/api/whoami/rotate',
    summary: 'Trade this token for a new one with the same rights; the old one ends after a grace time',
    access: ROLES.filter((r) => r !== 'join'),
    body: z.object({ grace_minutes: z.number().min(0).max(1440).default(10) }),
    reply: s.TokenRow.extend({ token: z.string() }),
  },
  auditVerify: {
    method: 'GET',
    path: '/api/audit/verify',
    summary: 'Whether the audit log is whole: no row changed, removed or put in',
    access: ['operator'],
    reply: z.object({
      ok: z.boolean(),
      rows: z.number().int(),
      broken_at: z.number().int().nullable().describe('the first row that is not as it was written'),
      head: z.string().describe('hash of the last row; kept elsewhere it proves that nothing was rewritten'),
    }),
  },
} as const satisfies Record<string, Endpoint>;
