// What tests of a machine that others damaged have in common: what lies there, and what doctor says of it.
import { readdir } from 'node:fs/promises';
import { beforeEach } from 'vitest';
import type { ClientContext } from '../../server/src/client/context.ts';
import { runDoctor } from '../../server/src/client/doctor/doctor.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { serve, version } from '../cli/scripted-hub.ts';
import { hub, m } from '../cli/scripted-pair.ts';

export const command = (text: string) => ({ 'commands/a.md': `---\ndescription: a\n---\n${text}` });

export const resultOf = async (ctx: ClientContext, check: string): Promise<string | undefined> =>
  (await runDoctor(ctx)).checks.find((c) => c.check === check)?.result;

/** What lies below ~/.claude beside the settings, links included. */
export async function left(): Promise<string[]> {
  const entries = await readdir(m.ctx.machine.paths.claudeDir, { recursive: true, withFileTypes: true }).catch(
    () => [],
  );
  return entries
    .filter((entry) => !entry.isDirectory() && !/^(settings|installed_plugins)\.json$/.test(entry.name))
    .map(({ name }) => name);
}

export const hooks = JSON.stringify({
  hooks: { SessionStart: [{ hooks: [{ type: 'command', command: '$' + '{CLAUDE_PLUGIN_ROOT}/run' }] }] },
});

/** Gives the machine of each test the plugin alpha 1.0.0, with a command and a hook, in this layout. */
export function alphaIn(layout: 'native' | 'loose'): void {
  const alpha = version('alpha', '1.0.0', { ...command('one'), 'hooks/hooks.json': hooks, run: '#!/bin/sh\n' });
  beforeEach(async () => {
    await updateConfig(m.ctx.machine, (raw) => ({ ...raw, plugins: { layout, machine_group_auto_install: true } }));
    serve(hub, [alpha]);
    m.ctx = await m.reopen();
    await syncMachine(m.ctx, { mode: 'explicit' });
  });
}
