import * as z from 'zod';
import { reads, type ToolDefinition } from './definition.ts';
import { popular, reference, registered, summary, unused } from './forms.ts';

/** Tools that find a plugin. */
export const DISCOVERY_TOOLS = {
  list_plugins: {
    title: 'List or search plugins',
    description:
      'Lists the plugins of the collective, newest version of each; with search_query finds plugins for a task, best first. ' +
      'Use it whenever somebody asks what plugins exist, are installed, or could help with something. For a search also give ' +
      '5-10 technical keywords and synonyms of the task in `keywords` (kubernetes, k8s, helm, rollout, deploy): the search ' +
      'matches words. Returns name, version, description, status and groups.',
    input: z.object({
      installed_only: z.boolean().default(false).describe('Only what is installed on this machine'),
      machine_group: z.string().max(64).optional().describe('Only what is published to this group (or to all)'),
      capability_filter: z
        .array(z.string().max(64))
        .max(50)
        .default([])
        .describe('Only plugins whose required capabilities are all among these'),
      author: z.string().max(200).optional().describe('Only by this author or organization'),
      component: z.enum(['command', 'agent', 'skill', 'hook', 'mcp']).optional().describe('Only with such a part'),
      search_query: z.string().max(2000).optional().describe('What the plugin should help with, in plain words'),
      keywords: z
        .array(z.string().max(100))
        .max(30)
        .default([])
        .describe('5-10 technical keywords and synonyms for search_query'),
      limit: z.number().int().min(1).max(200).default(20),
    }),
    output: z.object({
      plugins: z.array(summary),
      more: z.boolean().describe('true: there are more than `limit`'),
      weak: z.boolean().describe('true: nothing fits search_query well, these are the nearest; say so'),
    }),
    annotations: reads,
  },
  plugin_info: {
    title: 'Show one plugin',
    description:
      'Shows one plugin of the collective: description, versions, files, dependencies, where it may go and where it is installed. ' +
      'Use it before installing something the user has not seen.',
    input: z.object({ plugin_id: reference }),
    output: z.object({
      ...registered,
      description: z.string(),
      publisher: z.string(),
      groups: z.array(z.string()),
      machine_groups: z.array(z.string()),
      required_capabilities: z.array(z.string()),
      dependencies: z.array(z.object({ name: z.string(), range: z.string(), kind: z.enum(['required', 'optional']) })),
      file_count: z.number().int(),
      files: z.array(z.object({ path: z.string(), type: z.string(), size: z.number().int() })).describe('the first 50'),
      versions: z.array(z.object({ version: z.string(), status: z.string() })),
      installed_count: z.number().int(),
      installed_on: z
        .array(z.object({ machine: z.string(), version: z.string(), state: z.string() }))
        .describe('the first 50'),
      installed_here: z.string().nullable().describe('the version on this machine'),
    }),
    annotations: reads,
  },
  recommend_plugins: {
    title: 'Recommend plugins',
    description:
      'Plugins worth having that are not installed, each with its reason: without arguments for this machine (its groups, ' +
      'capabilities and what like machines run), with `task` for a task, with `capabilities` for an agent. Also names installed ' +
      'plugins that cost context and are not used.',
    input: z.object({
      task: z.string().min(1).max(2000).optional().describe('What is to be done, in plain words'),
      keywords: z
        .array(z.string().max(100))
        .max(30)
        .default([])
        .describe('5-10 technical keywords and synonyms of the task'),
      capabilities: z.array(z.string().max(64)).max(50).optional().describe('What an agent can do'),
      limit: z.number().int().min(1).max(20).default(5),
    }),
    output: z.object({
      recommendations: z.array(summary),
      weak: z.boolean().describe('true: nothing fits the task well'),
      unused,
      popular,
    }),
    annotations: reads,
  },
} as const satisfies Record<string, ToolDefinition>;
