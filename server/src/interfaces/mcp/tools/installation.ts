import * as z from 'zod';
import { adds, type ToolDefinition, takesAway } from './definition.ts';
import { applied, machines, reference } from './forms.ts';

/** Tools that change what a machine has. */
export const INSTALLATION_TOOLS = {
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
} as const satisfies Record<string, ToolDefinition>;
