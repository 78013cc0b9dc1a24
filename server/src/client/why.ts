import type { Reply } from '../contract/endpoints.ts';
import { formatError } from '../domain/errors.ts';
import { missingServers, missingServerText } from '../machine/claude/mcp-servers.ts';
import { readReceipts } from '../machine/receipts/index.ts';
import type { ClientContext } from './context.ts';
import { ask } from './hub/registry.ts';
import { lastRefusals } from './local-audit.ts';
import { syncMachine, tryLater } from './sync/index.ts';
import { whyNotSwitched } from './sync/layout-wish.ts';
import { cachedPlan } from './sync/plan.ts';
import { leavingText } from './sync/result.ts';

export interface Why extends Reply<'why'> {
  /** What this machine itself says; empty for another one. */
  here: string[];
}

/**
 * Why a plugin is, or is not, on a machine: the hub's reasons, and for this machine its own.
 * @param machine its name; this one when absent
 * @throws HaiveError NOT_JOINED, PLUGIN_NOT_FOUND, MACHINE_NOT_FOUND, FORBIDDEN
 */
export async function whyPlugin(ctx: ClientContext, name: string, machine = 'me'): Promise<Why> {
  const told = await ask(ctx, machine === 'me' ? 'machine' : 'operator', (hub) =>
    hub.call('why', { params: { machine, name } }),
  );
  return { ...told, here: machine === 'me' ? await localReasons(ctx, name) : [] };
}

/** Waiting by its configuration, rolled back, refused. */
async function localReasons(ctx: ClientContext, name: string): Promise<string[]> {
  const receipts = await readReceipts(ctx.machine);
  const { refused, plugins } = receipts;
  const reasons = plugins[name]?.error === undefined ? [] : [`failed here: ${plugins[name]?.error?.message ?? ''}`];
  const lacks = (await missingServers(ctx.machine)).get(name);
  if (lacks !== undefined) reasons.push(missingServerText(name, lacks));
  const stays = plugins[name] === undefined ? null : await whyNotSwitched(ctx, receipts);
  if (stays !== null) reasons.push(formatError(stays));
  try {
    const { waiting, leaving } = await syncMachine(ctx, { mode: 'agent', dryRun: true });
    reasons.push(...leaving.filter((l) => l.name === name).map(leavingText));
    for (const wait of waiting.filter((w) => w.name === name)) {
      const what = wait.to === null ? 'the removal' : wait.to;
      reasons.push(
        wait.why === 'policy' ? `${what} waits for \`hv sync\`: ${wait.detail}` : `${what} waits: ${wait.detail}`,
      );
    }
    const wanted = (await cachedPlan(ctx))?.plan.plugins.find((entry) => entry.name === name);
    const tried = wanted === undefined ? undefined : (await lastRefusals(ctx.machine)).get(wanted.digest);
    const told = waiting.some((w) => w.name === name && w.why === 'refused');
    if (tried !== undefined && !told) reasons.push(`${wanted?.version} was ${tried}`);
  } catch (thrown) {
    if (!tryLater(thrown)) throw thrown;
    const kept = Object.values(refused).map((r) => r.reason);
    reasons.push(...kept.filter((reason) => reason.includes(name)));
  }
  return reasons;
}
