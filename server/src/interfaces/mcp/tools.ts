import * as z from 'zod';
import { Published } from '../../contract/schemas.ts';
import { COLLECTIVE_TOOLS } from './collective-tools.ts';

/**
 * The tools as data: what a model reads, and the forms that arguments and results are held to. No code runs here;
 * call-tool.ts joins each name to its use case.
 */
export interface ToolDefinition {
  title: string;
  description: string;
  input: z.ZodObject;
  output: z.ZodObject;
  annotations: { readOnlyHint: boolean; destructiveHint: boolean; idempotentHint: boolean; openWorldHint: boolean };
}

const reads = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false };
const adds = { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false };
const takesAway = { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false };

const reference = z
  .string()
  .min(1)
  .max(300)
  .describe('NAME, NAME@RANGE (devops-essentials@^1.2.0) or an id (plugin_devops-essentials_1.2.0)');
const machines = z
  .array(z.string().min(1).max(64))
  .min(1, 'an empty list names no machine: leave it out for this machine, or give ["*"] for every compatible one')
  .max(1000)
  .optional()
  .describe(
    'Names of machines, or `*` for every compatible one. Leave out for this machine; others need an operator token',
  );
const version = z.object({ name: z.string(), version: z.string() });
const finding = z.object({
  code: z.string(),
  severity: z.enum(['error', 'warning', 'note']),
  file: z.string(),
  line: z.number().int().nullable(),
  message: z.string(),
  fix: z.string(),
});
const registered = {
  id: z.string(),
  name: z.string(),
  version: z.string(),
  digest: z.string(),
  status: z.string(),
};
const next_steps = z
  .array(z.string())
  .describe('what must still happen before machines have it, and who does it: tell the user');
const summary = z.object({
  id: z.string(),
  name: z.string(),
  version: z.string(),
  description: z.string(),
  status: z.string(),
  groups: z.array(z.string()).describe('`*` means every machine'),
  installed_count: z.number().int(),
  score: z.number().optional(),
  reason: z.string().optional(),
});

const unused = z
  .array(z.object({ name: z.string(), version: z.string(), tokens: z.number().int(), text: z.string() }))
  .describe('installed, in the context of every session, and not used as far as was counted');
const popular = z
  .array(z.object({ name: z.string(), version: z.string(), machines: z.number().int(), uses: z.number().int() }))
  .describe('what most machines used in the last 30 days');

/** What an installation, sync or removal did to this machine. */
const applied = {
  installed: z.array(version).describe('first installations, and repairs'),
  updated: z.array(z.object({ name: z.string(), from: z.string(), to: z.string() })),
  removed: z.array(z.string()),
  waiting: z
    .array(z.object({ name: z.string(), from: z.string().nullable(), to: z.string().nullable(), why: z.string() }))
    .describe('changes that were not made; why: policy (updates wait for a sync), held, refused or dependency'),
  edit_conflicts: z.array(z.string()).describe("files where the user's edits stay and the new file lies beside"),
  problems: z.array(z.object({ name: z.string(), code: z.string(), message: z.string() })),
  warnings: z.array(z.string()),
  reload_needed: z.boolean().describe('true: /reload-plugins or a new session loads the change'),
};

export const TOOLS = {
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
  get_plugin_status: {
    title: 'Plugin status of this machine',
    description:
      'Says what is installed on this machine and how it is: verified, edited by the user, disabled, damaged, waiting for an ' +
      'update, held by a rollback; also what is recommended, unused and popular. Use it for "is my plugin installed / up to date / healthy". Works while the hub is away. With ' +
      '`machine` or `fleet` (operator token) it says the same of other machines, as they last reported it.',
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
  install_plugin: {
    title: 'Install a plugin',
    description:
      'Installs a plugin with everything it requires. On this machine the files are there when the call returns; other machines ' +
      'follow by themselves. An exact version pins, `latest` floats. Tell the user to type /reload-plugins when reload_needed is true.',
    input: z.object({
      plugin_id: reference,
      version: z.string().max(100).default('latest').describe('`latest`, an exact version, or a range'),
      target_machines: machines,
      force: z.boolean().default(false).describe('Reinstall and overwrite local edits (a backup is kept)'),
    }),
    output: z.object({
      name: z.string(),
      version: z.string().nullable(),
      machines: z.array(
        z.object({ machine: z.string(), version: z.string().nullable(), problem: z.string().nullable() }),
      ),
      ...applied,
    }),
    annotations: adds,
  },
  remove_plugin: {
    title: 'Remove a plugin from machines',
    description:
      'Takes a plugin off this machine (or the named ones), exactly the files it brought. It stays in the collective for others and ' +
      'is not installed here again by itself. Ask the user first.',
    input: z.object({ plugin_id: reference, target_machines: machines }),
    output: z.object({
      name: z.string(),
      machines: z.array(z.string()),
      along: z.array(z.string()).describe('plugins that leave with it: it needs them and they need it'),
      removed: z.array(z.string()).describe('plugins that went from this machine'),
      warnings: z.array(z.string()),
      reload_needed: z.boolean(),
    }),
    annotations: takesAway,
  },
  rollback_plugin: {
    title: 'Go back to an earlier version',
    description:
      'Puts an earlier version of a plugin back on this machine, without the network, and holds it there: later syncs do not undo it. ' +
      'Use it when an update broke something. install_plugin with the name alone ends the hold.',
    input: z.object({
      plugin_id: reference,
      version: z.string().max(100).optional().describe('The exact version to go back to; the one before when left out'),
    }),
    output: z.object({
      name: z.string(),
      from: z.string(),
      to: z.string(),
      hub_told: z.boolean().describe('false: the hub was away and is told with the next sync'),
      warnings: z.array(z.string()),
      reload_needed: z.boolean(),
    }),
    annotations: takesAway,
  },
  sync_plugins: {
    title: 'Sync this machine with the collective',
    description:
      'Brings this machine to what the collective says: installs what is new, updates, removes what was withdrawn. Use it for ' +
      '"update my plugins" or "sync". With dry_run nothing changes and the answer says what would.',
    input: z.object({
      force: z.boolean().default(false).describe('Also overwrite local edits (a backup is kept)'),
      dry_run: z.boolean().default(false).describe('Only say what would change'),
    }),
    output: z.object({ dry_run: z.boolean(), ...applied }),
    annotations: { ...adds, destructiveHint: true },
  },
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
  ...COLLECTIVE_TOOLS,
} as const satisfies Record<string, ToolDefinition>;

export type ToolName = keyof typeof TOOLS;
export type ToolInput<N extends ToolName> = z.output<(typeof TOOLS)[N]['input']>;
export type ToolOutput<N extends ToolName> = z.input<(typeof TOOLS)[N]['output']>;
