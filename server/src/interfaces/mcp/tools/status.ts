import * as z from 'zod';
import { reads, type ToolDefinition } from './definition.ts';
import { popular, reference, summary, unused } from './forms.ts';

/** Tools that say how a machine is, and why. */
export const STATUS_TOOLS = {
  get_plugin_status: {
    title: 'Plugin status of this machine',
    description:
      'Says what is installed on this machine and how it is: verified, edited by the user, disabled, damaged, waiting for an ' +
      'update, held by a rollback; also what is recommended, unused and popular. Use it for "is my plugin installed / up to date / healthy". Works while the hub is away. With ' +
      '`machine` or `fleet` (operator token) it says the same of other machines, as they last reported it; for an operator at no machine that is the default.',
    input: z.object({
      plugin_id: reference.optional().describe('Only this plugin; all when left out'),
      machine: z.string().min(1).max(64).optional().describe('Of this machine instead'),
      fleet: z
        .boolean()
        .default(false)
        .describe('Of every machine instead; only those not in step when no plugin is named'),
    }),
    output: z.object({
      machine: z.string().nullable().describe('null: this machine has joined no hub'),
      hub: z.object({ url: z.string(), reachable: z.boolean(), error: z.string().nullable() }).nullable(),
      in_step: z.boolean().describe('true: this machine has what the collective wants here'),
      plugins: z.array(
        z.object({
          name: z.string(),
          version: z.string(),
          state: z.string(),
          available: z.string().nullable().describe('the version that the collective wants here, when it differs'),
          held: z.boolean().describe('true: a rollback keeps this version'),
          pinned: z.boolean().describe('true: exactly this version was asked for here'),
          edited: z.array(z.string()).describe('files with changes of the user'),
          missing: z.array(z.string()),
          overlaid: z
            .array(z.string())
            .describe("files that this machine's overlay put in the place of published ones"),
          previous: z.array(z.string()).describe('versions that rollback_plugin can go back to at once'),
          notice: z.string().nullable(),
          error: z.object({ code: z.string(), message: z.string() }).nullable(),
        }),
      ),
      problems: z.array(z.object({ name: z.string(), code: z.string(), message: z.string() })),
      recommendations: z.array(summary),
      unused,
      popular,
      fleet: z
        .object({ machines: z.number().int(), out_of_step: z.number().int() })
        .optional()
        .describe('only with `machine` or `fleet`: how many were looked at, and how many of them are not in step'),
      machines: z
        .array(
          z.object({
            name: z.string(),
            online: z.boolean(),
            last_seen: z.string().nullable(),
            in_step: z.boolean(),
            plugins: z.array(
              z.object({
                name: z.string(),
                installed: z.string().nullable(),
                desired: z.string().nullable(),
                state: z.string(),
                drift: z.boolean(),
                error: z.object({ code: z.string(), message: z.string() }).nullable(),
              }),
            ),
          }),
        )
        .optional()
        .describe('only with `machine` or `fleet`: the first 50'),
    }),
    annotations: reads,
  },
  explain_plugin: {
    title: 'Why a plugin is here, or not',
    description:
      'Says why a plugin is, or is not, on this machine: publications, orders, pins, dependencies, what was passed over, what waits ' +
      'here. Use it for "why do I not have X" and "why is X not updated".',
    input: z.object({
      plugin_id: reference,
      machine: z.string().max(64).optional().describe('Another machine, as operator; this one when left out'),
    }),
    output: z.object({
      name: z.string(),
      machine: z.string(),
      wanted: z.string().nullable().describe('the version that the collective wants there'),
      installed: z.string().nullable(),
      reasons: z.array(z.string()),
    }),
    annotations: reads,
  },
} as const satisfies Record<string, ToolDefinition>;
