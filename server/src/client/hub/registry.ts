import type { BodyIn, QueryIn, Reply } from '../../contract/endpoints.ts';
import { readReceipts } from '../../machine/receipts/index.ts';
import { type ClientContext, hubFor, type Purpose } from '../context.ts';
import type { HubClient } from './hub-client.ts';

/** Opens a connection for one question, with the token that fits, and closes it. @param timeoutMs of each call, milliseconds */
export async function ask<T>(
  ctx: ClientContext,
  purpose: Purpose,
  question: (hub: HubClient) => Promise<T>,
  timeoutMs?: number,
): Promise<T> {
  const hub = await hubFor(ctx, purpose, timeoutMs);
  try {
    return await question(hub);
  } finally {
    hub.close();
  }
}

/** `installed_only` speaks of this machine, so a joined machine asks for that with its own token. */
const listPurpose = (ctx: ClientContext, installedOnly: boolean): Purpose =>
  installedOnly && ctx.config.token !== undefined ? 'machine' : 'reader';

export type ListOptions = Omit<NonNullable<QueryIn<'list'>>, 'installed_only' | 'limit' | 'after'> & {
  installed_only?: boolean | undefined;
  limit?: number | undefined;
  after?: string | undefined;
};

/** The registry's plugins, one page (`next` is the following page's `after`). @throws HaiveError of the hub */
export async function listPlugins(ctx: ClientContext, options: ListOptions = {}): Promise<Reply<'list'>> {
  const { installed_only, ...rest } = options;
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  const query = { ...given, ...(installed_only === true ? { installed_only: 'true' } : {}) };
  return ask(ctx, listPurpose(ctx, installed_only === true), (hub) => hub.call('list', { query }));
}

/** Search in words, best first. @throws HaiveError of the hub */
export async function searchPlugins(ctx: ClientContext, body: BodyIn<'search'>): Promise<Reply<'search'>> {
  return ask(ctx, listPurpose(ctx, body?.installed_only === true), (hub) => hub.call('search', { body }));
}

export interface FleetQuery {
  /** Only this plugin. */
  plugin?: string | undefined;
  /** Only this machine. */
  machine?: string | undefined;
  outOfStep?: boolean | undefined;
}

/** What machines have against what they should have, as they reported it. @throws HaiveError FORBIDDEN and others of the hub */
export async function fleetStatus(ctx: ClientContext, wish: FleetQuery): Promise<Reply<'fleet'>['machines']> {
  return ask(ctx, 'operator', async (hub) => {
    const machines: Reply<'fleet'>['machines'] = [];
    for (let after: string | undefined; ; ) {
      const query = {
        limit: 1000,
        ...(wish.plugin === undefined ? {} : { plugin: wish.plugin }),
        ...(wish.machine === undefined ? {} : { machine: wish.machine }),
        ...(wish.outOfStep === true ? { out_of_step: 'true' } : {}),
        ...(after === undefined ? {} : { after }),
      };
      const page = await hub.call('fleet', { query });
      machines.push(...page.machines);
      if (page.next === null) return machines;
      after = page.next;
    }
  });
}

export interface PluginInfo extends Reply<'info'> {
  /** What this machine has of it; null when nothing. */
  here: { version: string; digest: string; previous: string[]; held: boolean } | null;
}

/** Details of one plugin or version. @throws HaiveError PLUGIN_NOT_FOUND, VERSION_NOT_FOUND and others of the hub */
export async function pluginInfo(ctx: ClientContext, ref: string): Promise<PluginInfo> {
  const details = await ask(ctx, 'reader', (hub) => hub.call('info', { params: { id: ref } }));
  const receipts = await readReceipts(ctx.machine);
  const mine = receipts.plugins[details.name];
  const here =
    mine === undefined
      ? null
      : {
          version: mine.version,
          digest: mine.digest,
          previous: mine.previous.map((p) => p.version),
          held: receipts.holds[details.name] !== undefined,
        };
  return { ...details, here };
}
