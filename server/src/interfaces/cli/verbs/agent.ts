import { resolve } from 'node:path';
import { selfUpdate } from '../../../client/join/self-update.ts';
import { holdLiveChannel } from '../../../client/live/hold.ts';
import { describeSync } from '../../../client/sync/notice.ts';
import { formatError, toHaiveError } from '../../../domain/errors.ts';
import type { Verb, VerbCall, VerbOutput } from '../verb.ts';
import { goOnAs, heedAbove, REPLACED } from './next-agent.ts';
import { launchdPlist, systemdUnit } from './service-files.ts';
import { syncJson } from './sync-text.ts';

export const agent: Verb = async (call) => {
  // A service has another working folder.
  const whole = (path: string | undefined) => (path === undefined ? undefined : resolve(call.cwd, path));
  const variables = {
    HAIVEMIND_HOME: whole(call.env.haivemindHome),
    CLAUDE_CONFIG_DIR: whole(call.env.claudeConfigDir),
    HAIVEMIND_HUB_URL: call.env.hubUrl,
    HAIVEMIND_CA_FILE: whole(call.env.caFile),
    NODE_EXTRA_CA_CERTS: whole(call.env.extraCaFile),
  };
  const service = { node: process.execPath, program: call.program, variables };
  if (call.options.printSystemd === true) {
    const text = systemdUnit(service);
    return { json: { systemd: text }, text };
  }
  if (call.options.printLaunchd === true) {
    const text = launchdPlist(service, call.env.home);
    return { json: { launchd: text }, text };
  }
  return run(call);
};

async function run(call: VerbCall): Promise<VerbOutput> {
  const ctx = await call.open();
  const stop = new AbortController();
  const replaced = new AbortController();
  const onSignal = (): void => stop.abort();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, onSignal);
  heedAbove(onSignal);
  const line = (text: string, data: Record<string, unknown>): void =>
    call.say(call.json ? JSON.stringify({ time: new Date().toISOString(), ...data }) : text);
  let last = '';
  const left = await holdLiveChannel(ctx, {
    signal: AbortSignal.any([stop.signal, replaced.signal]),
    onState: (state) => line(`agent: ${state}`, { type: 'state', state }),
    onSync: (result) => {
      const text = describeSync(result);
      if (text !== null && (text !== last || result.reloadNeeded)) line(text, { type: 'sync', ...syncJson(result) });
      last = text ?? '';
    },
    onError: ({ code, message, hint }) => line(`${code}: ${message}. ${hint}`, { type: 'error', code, message, hint }),
    afterSync: async () => {
      try {
        const updated = await selfUpdate(ctx, call.program);
        if (updated.state !== 'updated') return;
        line(`hv ${updated.from} → ${updated.to}; starting anew`, { type: 'self-update', ...updated });
        replaced.abort();
      } catch (thrown) {
        const error = toHaiveError(thrown);
        line(formatError(error), { type: 'error', code: error.code, message: error.message });
      }
    },
  }).then(
    () => false,
    (thrown) => {
      // No failure to a service manager, which would start it again and again.
      if (call.env.isService && toHaiveError(thrown).code === 'NOT_JOINED') return true;
      throw thrown;
    },
  );
  if (replaced.signal.aborted && !stop.signal.aborted) {
    const args = ['agent', ...(call.json ? ['--json'] : [])];
    // A service manager starts the new program by itself; nobody else would.
    const exit = call.env.isService ? REPLACED : await goOnAs(call.program, args, stop.signal);
    return { json: { type: 'replaced' }, text: '', exit };
  }
  if (left) {
    const text = 'agent: this machine is in no hub; once it has joined one, start the service again';
    return { json: { type: 'left' }, text };
  }
  return { json: { type: 'stopped' }, text: 'agent: stopped' };
}

export const selfUpdateVerb: Verb = async (call) => {
  const result = await selfUpdate(await call.open(), call.program);
  const said = {
    current: `hv ${result.from} is the hub's`,
    updated: `hv ${result.from} → ${result.to}`,
    foreign: 'This hv was not installed by a join line; update it where it came from',
  };
  return { json: result, text: said[result.state] };
};
