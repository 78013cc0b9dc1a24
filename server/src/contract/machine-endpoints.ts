import * as z from 'zod';
import { Done, type Endpoint } from './endpoint.ts';
import { PLAN_HEADERS } from './headers.ts';
import * as s from './schemas.ts';

/** Machines: how they join, what each should have and has, groups, overrides. */

export const MACHINE_ENDPOINTS = {
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
      machine_token: z.string().optional().describe('its own from an earlier join: lets it take its name again'),
      public_key: z
        .string()
        .regex(/^[A-Za-z0-9+/]{43}=$/)
        .optional()
        .describe(
          'Ed25519, raw, base64: this request and all that follow carry haivemind-proof, made with its other half',
        ),
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
    reply: Done,
  },
  /** Answers 304 when If-None-Match names the current plan. The reply is a DSSE envelope of domain/plan. */
  plan: {
    method: 'GET',
    path: '/api/machines/{machine}/plan',
    summary: 'The signed plan of a machine (self)',
    access: ['operator', 'machine'],
    headers: PLAN_HEADERS,
    reply: s.PlanReply,
  },
  report: {
    method: 'POST',
    path: '/api/machines/{machine}/status',
    summary: 'What the machine has installed (self)',
    access: ['machine'],
    body: s.StatusReport,
    reply: Done,
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
    reply: s.Override.extend({
      along: s.Along,
      seq: z.number().int(),
      warnings: z.array(z.string()).default([]).describe('what fits nothing yet'),
    }),
  },
  clearOverride: {
    method: 'DELETE',
    path: '/api/machines/{machine}/overrides/{name}',
    summary: 'Back to what the groups say (self, or an operator)',
    access: ['operator', 'machine'],
    query: z.object({ kind: s.OverrideKind.optional().describe('only this kind; all kinds when absent') }),
    reply: z.object({ ok: z.literal(true), seq: z.number().int() }),
  },
  orderSet: {
    method: 'PUT',
    path: '/api/machines/{machine}/set',
    summary: 'Order exactly a locked set of plugins, all or nothing (self, or an operator)',
    access: ['operator', 'machine'],
    body: z.object({
      plugins: z
        .array(z.object({ name: z.string().max(64), version: z.string().max(256), digest: z.string().max(80) }))
        .max(2000),
    }),
    reply: z.object({
      installed: z.array(z.string()).describe('plugins that were not to be there as locked'),
      excluded: z.array(z.string()).describe('plugins that were to be there and are not locked'),
      warnings: z.array(z.string()).describe('what operators said otherwise, and is lifted'),
      seq: z.number().int().nullable().describe('of the order; null where nothing had to be ordered'),
    }),
  },
  takeBackSet: {
    method: 'DELETE',
    path: '/api/machines/{machine}/set',
    summary: 'Take back the order of a locked set; what was said before holds again (self, or an operator)',
    access: ['operator', 'machine'],
    query: z.object({ seq: z.coerce.number().int().min(1).describe('of the order') }),
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
} as const satisfies Record<string, Endpoint>;
