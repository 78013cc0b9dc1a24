import type { HaiveError } from '../../domain/errors.ts';
import type { Plan, PlanEntry } from '../../domain/plan/index.ts';
import type { Machine } from '../../machine/machine.ts';
import type { Receipts } from '../../machine/receipts/index.ts';
import type { ClientContext } from '../context.ts';
import type { HubClient } from '../hub/hub-client.ts';
import type { Fetched } from '../transfer/asking.ts';
import { fetchVersions } from '../transfer/fetch-versions.ts';
import type { Deadline } from './deadline.ts';
import { PATIENCE, type SyncOptions } from './options.ts';

interface Run {
  ctx: ClientContext;
  machine: Machine;
  hub: HubClient;
  plan: Plan;
  options: SyncOptions;
  deadline: Deadline;
}

/** Fetches what a round picked, with the patience of who asked. @returns both by digest @throws as fetchVersions */
export async function fetchPicked(
  { ctx, machine, hub, options, deadline }: Run,
  install: readonly PlanEntry[],
  receipts: Receipts,
): Promise<{ fetched: Map<string, Fetched>; failed: Map<string, HaiveError> }> {
  if (install.length === 0 || ctx.config.hub === undefined) return { fetched: new Map(), failed: new Map() };
  const names = install.map((e) => e.name);
  options.onProgress?.({ step: 'fetch', names, versions: versionsOf(install), bytes: 0 });
  const maxBytes = ctx.config.plugins.max_plugin_size_mb * 1024 * 1024;
  let counted = 0;
  return fetchVersions(machine, hub, install, {
    hub: ctx.config.hub,
    maxBytes,
    installed: Object.values(receipts.plugins),
    attempts: PATIENCE[options.mode].attempts,
    signal: deadline.signal,
    onBytes: (bytes) => {
      // No more than what is wanted could hold: a hub that sends for ever buys nothing by it.
      const count = Math.min(bytes, install.length * maxBytes);
      deadline.arrived(count - counted);
      counted = count;
      options.onProgress?.({ step: 'fetch', names, bytes });
    },
  });
}

/** By name, as a progress says it. */
export const versionsOf = (entries: readonly PlanEntry[]): Record<string, string> =>
  Object.fromEntries(entries.map((entry) => [entry.name, entry.version]));
