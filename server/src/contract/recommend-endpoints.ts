import * as z from 'zod';
import type { Endpoint } from './endpoint.ts';
import { ROLES } from './roles.ts';
import { PluginSummary } from './schemas.ts';

/** Advice: what to install and why, what costs and is not used, what others use. */

const Reason = z.object({
  /** What it is drawn from: other machines, the plugin's manifest, its words. */
  kind: z.enum(['group', 'capability', 'beside', 'made_for', 'needs', 'words']),
  text: z.string(),
  /** The group, capability or plugin that the other machines share with this one. */
  name: z.string().optional(),
  names: z.array(z.string()).optional(),
  have: z.number().int().optional(),
  of: z.number().int().optional(),
});

const Recommendation = PluginSummary.extend({
  score: z.number(),
  /** The most telling reasons, as one line. */
  reason: z.string(),
  reasons: z.array(Reason),
});

export const RECOMMEND_ENDPOINTS = {
  recommend: {
    method: 'POST',
    path: '/api/plugins/recommend',
    summary:
      'Plugins for a machine, for a task in words, or for what an agent can do; also what is unused, and popular',
    access: ROLES.filter((r) => r !== 'join'),
    body: z.object({
      machine: z.string().max(64).optional().describe("id, name or `me`; a machine's own token means itself"),
      task: z.string().min(1).max(2000).optional().describe('what is to be done, in words'),
      keywords: z.array(z.string().max(100)).max(30).default([]),
      capabilities: z.array(z.string().max(64)).max(50).optional().describe('what an agent can do'),
      limit: z.number().int().min(1).max(20).default(5),
    }),
    reply: z.object({
      machine: z.string().nullable(),
      recommendations: z.array(Recommendation),
      /** With a task: nothing fits well, these are the nearest. */
      weak: z.boolean(),
      /** Installed on the machine, in every session's context, and not used as far as was counted. */
      unused: z.array(
        z.object({
          name: z.string(),
          version: z.string(),
          tokens: z.number().int().describe('of context in every session, estimated'),
          text: z.string(),
        }),
      ),
      popular: z.array(
        z.object({
          name: z.string(),
          version: z.string(),
          description: z.string(),
          machines: z.number().int().describe('that used it in the last 30 days'),
          uses: z.number().int(),
        }),
      ),
    }),
  },
} as const satisfies Record<string, Endpoint>;
