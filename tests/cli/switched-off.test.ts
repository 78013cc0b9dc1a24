// What a person switched off in Claude Code stays off, and whoever installs it or asks how it is hears so, and what brings it back.
import { readFile, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { installPlugin } from '../../server/src/client/install/index.ts';
import { machineStatus } from '../../server/src/client/status.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { json, serve, version } from './scripted-hub.ts';
import { hub, m, scriptedPair } from './scripted-pair.ts';

const calm = version('calm', '1.0.0', { 'commands/calm.md': '---\ndescription: c\n---\none' });
scriptedPair();

async function installAgain() {
  const { id, name, version: v } = calm.entry;
  hub.answers[`POST /api/plugins/${name}/install`] = (_, response) => {
    const machines = [{ machine: 'test', version: v, problem: null }];
    json(response, { id, name, version: v, pinned: false, warnings: [], seq: 1, machines });
  };
  return (await installPlugin(await m.reopen(), name)).sync?.warnings;
}
const notice = async () => (await machineStatus(await m.reopen(), 'calm')).plugins[0]?.notice;
async function settings(change: (settings: Record<string, never>) => unknown) {
  const path = m.ctx.machine.paths.settings;
  await writeFile(path, JSON.stringify(change(JSON.parse(await readFile(path, 'utf8')))));
}

it('natively', async () => {
  serve(hub, [calm]);
  await syncMachine(m.ctx, { mode: 'explicit' });
  expect(await notice()).toBeNull();
  expect(await installAgain()).toEqual([]);
  await settings((s) => ({ ...s, enabledPlugins: { 'calm@collective': false } }));
  expect(await notice()).toContain('`claude plugin enable calm@collective` brings it back');
  expect(await installAgain()).toEqual([expect.stringContaining('calm is switched off in Claude Code')]);
  await settings(() => ({}));
  expect(await notice()).toContain('`hv doctor --fix` brings it back');
});

it('loosely, also what was off before the layout changed', async () => {
  serve(hub, [calm]);
  await syncMachine(m.ctx, { mode: 'explicit' });
  await settings((s) => ({ ...s, enabledPlugins: { 'calm@collective': false } }));
  await updateConfig(m.ctx.machine, (raw) => ({ ...raw, plugins: { layout: 'loose' } }));
  await syncMachine(await m.reopen(), { mode: 'explicit' });
  expect(await notice()).toContain('`hv install calm --force` brings it back');
  expect(await installAgain()).toEqual([expect.stringContaining('calm is switched off')]);
});
