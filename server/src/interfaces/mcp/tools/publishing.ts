import * as z from 'zod';
import { Published } from '../../../contract/schemas.ts';
import { adds, type ToolDefinition } from './definition.ts';
import { finding, next_steps, reference, registered } from './forms.ts';

/** Tools that bring a plugin to the collective. */
export const PUBLISHING_TOOLS = {
  create_plugin: {
    title: 'Start a new plugin',
    description:
      'Writes the folder of a new plugin: manifest and one example of each wanted component, ready to edit. Afterwards edit the files, ' +
      'then register_plugin and publish_plugin.',
    input: z.object({
      name: z.string().min(1).max(64).describe('Lower-case letters, digits, dashes: my-plugin'),
      path: z
        .string()
        .min(1)
        .max(4096)
        .optional()
        .describe('Folder to write (~ is the home); ./NAME when left out. It must be empty or new'),
      components: z
        .array(z.enum(['commands', 'agents', 'skills', 'hooks', 'mcp']))
        .max(5)
        .optional()
        .describe('Which parts to start with; commands when there is no template either'),
      template: z
        .enum(['basic', 'elasticsearch-ops', 'incident-response'])
        .default('basic')
        .describe(
          'A built-in plugin to start from: operating a service over its API, or a shared procedure with hooks',
        ),
      description: z.string().max(1000).optional().describe('One sentence: what the plugin is for'),
    }),
    output: z.object({ path: z.string(), files: z.array(z.string()) }),
    annotations: { ...adds, idempotentHint: false },
  },
  register_plugin: {
    title: 'Register a plugin version',
    description:
      'Packs, validates and stores one version of a plugin in the collective, visible to nobody yet: publish_plugin offers it to ' +
      'machines. Ask the author for two or three use cases first (or propose them from its files) and write them to `haivemind.use_cases` in ' +
      'plugin.json: they are what searches find. Give exactly one of plugin_path, plugin_archive, plugin_url. A version never changes: other bytes need a higher ' +
      'version in plugin.json. Returns the id for publish_plugin, and findings worth telling the author.',
    input: z.object({
      plugin_path: z
        .string()
        .min(1)
        .max(4096)
        .optional()
        .describe('A plugin folder or .zip on this machine; ~ is the home'),
      plugin_archive: z.string().max(100_000_000).optional().describe('A zip, base64'),
      plugin_url: z.url().max(4096).optional().describe('Where the hub fetches a zip'),
    }),
    output: z.object({
      ...registered,
      created: z.boolean(),
      changes: z
        .array(z.object({ file: z.string(), why: z.string(), before: z.string(), after: z.string() }))
        .describe('what was translated to what Claude Code loads, the first 50'),
      change_count: z.number().int(),
      findings: z.array(finding),
      next_steps,
    }),
    annotations: { ...adds, openWorldHint: true },
  },
  publish_plugin: {
    title: 'Publish a registered plugin',
    description:
      'Offers a registered version to machine groups: their machines install or are told of it. Without target_groups the ' +
      "manifest's machine_groups receive it; a plugin that names none needs `all: true`. Register a local folder first. Ask the user " +
      'which groups if it is not clear: this reaches other machines.',
    input: z.object({
      plugin_id: reference.describe(
        'The id that register_plugin answered, or NAME[@RANGE]: the version that you registered last; refused where that is not the newest',
      ),
      target_groups: z.array(z.string().min(1).max(64)).max(100).optional().describe('Groups that receive it'),
      all: z.boolean().default(false).describe('Every machine'),
      notify_agents: z.boolean().default(true).describe('false: people are not told, machines still receive it'),
      accept_surface: z
        .boolean()
        .default(false)
        .describe('true only after SURFACE_UNACCEPTED, when the user has seen what it lists and said yes'),
    }),
    output: z.object({
      ...registered,
      groups: z.array(z.string()),
      machines: z.array(z.string()).describe('machines that should now have it'),
      ...Published.pick({ instead: true, withheld: true, changed_key: true, revoked_content: true, held: true }).shape,
      next_steps,
    }),
    annotations: adds,
  },
} as const satisfies Record<string, ToolDefinition>;
