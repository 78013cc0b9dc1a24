import * as z from 'zod';
import { MAX_VERSION } from '../domain/names.ts';
import { MAX_COMPONENT } from '../domain/use.ts';
import type { Endpoint } from './endpoint.ts';
import { ROLES } from './roles.ts';

/** What the collective uses: counts go up from machines, sums come back. */

export const UseKind = z.enum(['command', 'skill', 'agent', 'mcp']);

/** How often one component was used in one session on one day: names and numbers, never what was typed. */
export const UseCount = z.object({
  /** Made up by the machine for each process that counts; together with the rest it makes sending twice harmless. */
  session: z.string().regex(/^[A-Za-z0-9_-]{8,64}$/),
  plugin: z.string().min(1).max(64),
  version: z.string().min(1).max(MAX_VERSION),
  kind: UseKind,
  component: z.string().min(1).max(MAX_COMPONENT),
  /** UTC. */
  day: z.iso.date(),
  /** Of the whole session on that day, not since the last report. */
  count: z.number().int().min(1).max(1_000_000),
});

export const USAGE_GROUPINGS = ['plugin', 'version', 'component', 'group', 'day'] as const;

export const USAGE_ENDPOINTS = {
  reportUsage: {
    method: 'POST',
    path: '/api/machines/{machine}/usage',
    summary: 'How often components of plugins were used on a machine (self); the same report counts once',
    access: ['machine'],
    body: z.object({ counts: z.array(UseCount).max(2000) }),
    reply: z.object({
      /** Uses that were new to the hub. */
      added: z.number().int(),
      /** Rows of plugins the hub does not know, of days to come, or too old to be told from what was counted already. */
      ignored: z.number().int(),
    }),
  },
  usage: {
    method: 'GET',
    path: '/api/usage',
    summary: 'How often plugins and their components were used, by plugin, version, component, group or day',
    access: ROLES.filter((r) => r !== 'join'),
    query: z.object({
      by: z.enum(USAGE_GROUPINGS).default('plugin'),
      plugin: z.string().max(64).optional(),
      group: z.string().max(64).optional().describe('only what machines of this group did'),
      days: z.coerce.number().int().min(1).max(400).default(30),
      limit: z.coerce.number().int().min(1).max(1000).default(100),
    }),
    reply: z.object({
      since: z.string(),
      rows: z.array(
        z.object({
          plugin: z.string().nullable(),
          version: z.string().nullable(),
          kind: UseKind.nullable(),
          component: z.string().nullable(),
          group: z.string().nullable(),
          day: z.string().nullable(),
          uses: z.number().int(),
          /** Machines that used it, as far as the hub still remembers them; null by day and by group. */
          machines: z.number().int().nullable(),
        }),
      ),
    }),
  },
} as const satisfies Record<string, Endpoint>;
