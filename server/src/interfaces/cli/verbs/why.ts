import { ask } from '../../../client/registry.ts';
import { syncMachine, tryLater } from '../../../client/sync.ts';
import { missingServers, missingServerText } from '../../../machine/mcp-servers.ts';
import { readReceipts } from '../../../machine/receipts.ts';
import { clean } from '../output.ts';
import type { Verb, VerbCall } from '../verb.ts';
import { argument } from './options.ts';

/** Why a plugin is, or is not, on a machine: the hub's reasons, and for this machine its own. */
export const why: Verb = async (call) => {
  const name = argument(call, 0, 'plugin');
  const machine = (call.options.machine as string | undefined) ?? 'me';
  const ctx = await call.open();
  const told = await ask(ctx, machine === 'me' ? 'machine' : 'operator', (hub) =>
    hub.call('why', { params: { machine, name } }),
  );
  const here = machine === 'me' ? await localReasons(call, name) : [];
  const { style } = call;
  const wants =
    told.desired === null ? 'not wanted' : `wanted: ${told.desired.version}${told.desired.pinned ? ' (exactly)' : ''}`;
  const lines = [
    `${style.bold(name)} on ${told.machine}: ${wants}; installed: ${told.installed ?? 'none'}`,
    ...told.reasons.map((r) => `  ${r.kind === 'problem' ? style.red('!') : '·'} ${clean(r.text)}`),
    ...here.map((text) => `  ${style.yellow('…')} ${clean(text)}`),
  ];
  return { json: { ...told, here }, text: lines.join('\n') };
};

/** What this machine itself says: waiting by its configuration, rolled back, refused. */
async function localReasons(call: VerbCall, name: string): Promise<string[]> {
  const ctx = await call.open();
  const { refused, plugins } = await readReceipts(ctx.machine);
  const reasons = plugins[name]?.error === undefined ? [] : [`failed here: ${plugins[name]?.error?.message ?? ''}`];
  const lacks = (await missingServers(ctx.machine)).get(name);
  if (lacks !== undefined) reasons.push(missingServerText(name, lacks));
  try {
    const { waiting } = await syncMachine(ctx, { mode: 'agent', dryRun: true });
    for (const wait of waiting.filter((w) => w.name === name)) {
      const what = wait.to === null ? 'the removal' : wait.to;
      reasons.push(
        wait.why === 'policy' ? `${what} waits for \`hv sync\`: ${wait.detail}` : `${what} waits: ${wait.detail}`,
      );
    }
  } catch (thrown) {
    if (!tryLater(thrown)) throw thrown;
    const kept = Object.values(refused).map((r) => r.reason);
    reasons.push(...kept.filter((reason) => reason.includes(name)));
  }
  return reasons;
}
