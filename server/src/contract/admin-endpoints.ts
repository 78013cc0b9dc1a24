import * as z from 'zod';
import { Done, type Endpoint } from './endpoint.ts';
import { ROLES } from './roles.ts';
import * as s from './schemas.ts';

/** What happened, and who may come in: events, audit, tokens. */

export const ADMIN_ENDPOINTS = {
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
        .describe('join: groups it may give; publisher: groups it may publish to, and take back from'),
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
    reply: Done.extend({
      last_admin: z.boolean().optional().describe('no token administers the hub any more'),
      also: z
        .array(z.string())
        .optional()
        .describe('tokens that still hold with the same rights: this one was rotated into them, or out of them'),
    }),
  },
} as const satisfies Record<string, Endpoint>;
