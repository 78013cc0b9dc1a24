import { adviceBeside, advise } from '../../client/advice.ts';
import { type ClientContext, openClient } from '../../client/context.ts';
import { fleetStatus, listPlugins, pluginInfo, searchPlugins } from '../../client/hub/registry.ts';
import { installPlugin } from '../../client/install/index.ts';
import { removePlugin } from '../../client/install/remove.ts';
import { rollbackPlugin } from '../../client/install/rollback.ts';
import { publishRegistered, registerPlugin } from '../../client/publish/index.ts';
import { machineStatus } from '../../client/status.ts';
import { type SyncProgress, syncMachine } from '../../client/sync/index.ts';
import { whyPlugin } from '../../client/why.ts';
import { toHaiveError } from '../../domain/errors.ts';
import { parsePluginRef } from '../../domain/names.ts';
import type { CallContext, Handlers } from './call-tool.ts';
import { COLLECTIVE_HANDLERS } from './collective-handlers.ts';
import { createPluginFolder } from './create-plugin.ts';
import { pluginSource } from './plugin-source.ts';
import { published, registered } from './publishing-say.ts';
import * as say from './say.ts';

const MAX_LISTED = 50;

/** One use case a tool: parse, call, say. */
export const HANDLERS: Handlers = {
  ...COLLECTIVE_HANDLERS,
  list_plugins: async (input, call) => {
    const ctx = await client(call);
    const filters = {
      ...(input.machine_group === undefined ? {} : { machine_group: input.machine_group }),
      ...(input.author === undefined ? {} : { author: input.author }),
      ...(input.component === undefined ? {} : { component: input.component }),
      ...(input.capability_filter.length === 0 ? {} : { capability_filter: input.capability_filter.join(',') }),
    };
    const words = [input.search_query ?? '', input.keywords.join(' ')].find((text) => text.trim() !== '');
    if (words === undefined) {
      const { plugins, next } = await listPlugins(ctx, {
        ...filters,
        installed_only: input.installed_only,
        limit: input.limit,
      });
      return { text: say.list(plugins, next !== null), data: { plugins, more: next !== null, weak: false } };
    }
    const limit = Math.min(input.limit, 50);
    const { keywords, installed_only } = input;
    const asked = { ...filters, search_query: words, keywords, installed_only, limit };
    const { results, weak } = await searchPlugins(ctx, asked);
    return { text: say.found(results, words, weak), data: { plugins: results, more: false, weak } };
  },

  plugin_info: async ({ plugin_id }, call) => {
    const info = await pluginInfo(await client(call), plugin_id);
    // A model reads the data too: long lists are cut, with their length beside.
    const data = {
      ...info,
      file_count: info.files.length,
      files: info.files.slice(0, MAX_LISTED),
      installed_on: info.installed_on.slice(0, MAX_LISTED),
      installed_here: info.here?.version ?? null,
    };
    return { text: say.info(info), data };
  },

  get_plugin_status: async ({ plugin_id, machine, fleet }, call) => {
    const name = plugin_id === undefined ? undefined : parsePluginRef(plugin_id).name;
    const ctx = await client(call);
    const all =
      machine !== undefined || fleet
        ? await fleetStatus(ctx, { plugin: name, machine })
        : speaksForAll(ctx)
          ? await fleetStatus(ctx, { plugin: name }).catch(nullWhenForbidden)
          : null;
    if (all !== null) {
      const behind = all.filter((m) => !m.in_step);
      const shown = machine === undefined && name === undefined ? behind : all;
      const data = {
        machine: machine ?? null,
        hub: null,
        in_step: behind.length === 0,
        fleet: { machines: all.length, out_of_step: behind.length },
        plugins: [],
        problems: [],
        recommendations: [],
        unused: [],
        popular: [],
      };
      return { text: say.fleet(all), data: { ...data, machines: shown.slice(0, MAX_LISTED) } };
    }
    const status = await machineStatus(ctx, name);
    const advice =
      name === undefined && status.hub?.reachable === true && status.hub.error === null
        ? await adviceBeside(ctx)
        : null;
    const { recommendations = [], unused = [], popular = [] } = advice ?? {};
    const text = [say.status(status), ...(advice === null ? [] : [say.advice(advice)])].filter((part) => part !== '');
    const data = { ...status, machine: status.machine?.name ?? null, recommendations, unused, popular };
    return { text: text.join('\n'), data };
  },

  recommend_plugins: async ({ task, keywords, capabilities, limit }, call) => {
    const given = { ...(task === undefined ? {} : { task }), ...(capabilities === undefined ? {} : { capabilities }) };
    const advice = await advise(await client(call), { ...given, keywords, limit });
    return { text: say.recommended(advice), data: advice };
  },

  explain_plugin: async ({ plugin_id, machine }, call) => {
    const { name } = parsePluginRef(plugin_id);
    const told = await whyPlugin(await client(call), name, machine);
    const reasons = [...told.reasons.map((r) => r.text), ...told.here];
    const data = {
      name,
      machine: told.machine,
      wanted: told.desired?.version ?? null,
      installed: told.installed,
      reasons,
    };
    return { text: say.why(data), data };
  },

  install_plugin: async (input, call) => {
    const ctx = await client(call);
    const result = await installPlugin(ctx, input.plugin_id, {
      // `latest` says nothing that NAME alone does not say, and would disagree with NAME@RANGE.
      version: input.version === 'latest' ? undefined : input.version,
      machines: input.target_machines ?? (speaksForAll(ctx) ? ['*'] : undefined),
      force: input.force,
      onProgress: progress(call),
    });
    const applied = say.applied(result.sync);
    const warnings = [...new Set([...result.warnings, ...applied.warnings])];
    return { text: say.installed(result), data: { ...result, ...applied, warnings } };
  },

  remove_plugin: async ({ plugin_id, target_machines }, call) => {
    const result = await removePlugin(await client(call), plugin_id, { machines: target_machines });
    return { text: say.removed(result), data: { ...result, reload_needed: result.removed.length > 0 } };
  },

  rollback_plugin: async ({ plugin_id, version }, call) => {
    const result = await rollbackPlugin(await client(call), plugin_id, version);
    return { text: say.rolledBack(result), data: { ...result, hub_told: result.hubTold, reload_needed: true } };
  },

  sync_plugins: async ({ force, dry_run }, call) => {
    const result = await syncMachine(await client(call), {
      mode: 'explicit',
      force,
      dryRun: dry_run,
      onProgress: progress(call),
      signal: call.signal,
    });
    return { text: say.synced(result), data: { dry_run, ...say.applied(result) } };
  },

  create_plugin: async (input, call) => {
    const made = await createPluginFolder(await client(call), input);
    return { text: say.created(made.path, made.files), data: made };
  },

  register_plugin: async (input, call) => {
    const result = await registerPlugin(await client(call), pluginSource(input, call.environment.home), ({ step }) =>
      call.onProgress(step),
    );
    return registered(result);
  },

  publish_plugin: async ({ plugin_id, target_groups, all, notify_agents, accept_surface }, call) => {
    const target = { groups: target_groups, all, notify: notify_agents, accept: accept_surface };
    const result = await publishRegistered(await client(call), plugin_id, target);
    return published(result);
  },
};

function client(call: CallContext): Promise<ClientContext> {
  return openClient(call.environment);
}

/** An operator who sits at no machine of the collective means the collective. */
function speaksForAll({ config, env }: ClientContext): boolean {
  return config.token === undefined && (env.token ?? config.login) !== undefined;
}

function nullWhenForbidden(thrown: unknown): null {
  if (toHaiveError(thrown).code === 'FORBIDDEN') return null;
  throw thrown;
}

function progress(call: CallContext): (progress: SyncProgress) => void {
  return ({ step, names }) => call.onProgress(names === undefined ? step : `${step} ${names.join(', ')}`);
}
