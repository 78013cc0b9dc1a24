// A machine in the loose layout whose copies an earlier program made: what plugin.json puts aside goes with the first sync.
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { runDoctor } from '../../server/src/client/doctor/doctor.ts';
import { leaveHub } from '../../server/src/client/join/leave.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { updateConfig } from '../../server/src/machine/config-file.ts';
import { updateReceipts } from '../../server/src/machine/receipts/index.ts';
import { sha256Of } from '../../server/src/machine/store/blob-store.ts';
import { serve, version } from './scripted-hub.ts';
import { hub, m, scriptedPair } from './scripted-pair.ts';

const manifest = JSON.stringify({ name: 'delta', version: '1.0.0', description: 'd', commands: './new/' });
const delta = version('delta', '1.0.0', {
  '.claude-plugin/plugin.json': manifest,
  'commands/oldcmd.md': 'old',
  'new/newcmd.md': 'new',
});

const commands = () => ['newcmd', 'oldcmd'].filter((name) => existsSync(join(m.home, `.claude/commands/${name}.md`)));

scriptedPair();
beforeEach(async () => {
  await updateConfig(m.ctx.machine, (raw) => ({ ...raw, plugins: { ...Object(raw.plugins), layout: 'loose' } }));
  serve(hub, [delta]);
  await syncMachine(await m.reopen(), { mode: 'explicit' });
  expect(commands()).toEqual(['newcmd']);
  await writeFile(join(m.home, '.claude/commands/oldcmd.md'), 'old');
  await updateReceipts(m.ctx.machine, ({ plugins }) => {
    const { loose } = plugins.delta ?? {};
    delete loose?.rules;
    const old = { from: 'commands/oldcmd.md', path: 'commands/oldcmd.md', sha256: sha256Of('old'), executable: false };
    loose?.files.push({ kind: 'command', ...old });
  });
});

it('also by itself, and where the hub says that nothing changed', async () => {
  const { warnings } = await syncMachine(await m.reopen(), { mode: 'agent' });
  expect(warnings.join()).toContain('Laid out again, as this program does: delta');
  expect(commands()).toEqual(['newcmd']);
  expect((await syncMachine(await m.reopen(), { mode: 'agent' })).warnings).toEqual([]);
});

it('with `doctor --fix` while the hub is away, also after the receipts were lost', async () => {
  await rm(m.ctx.machine.paths.receipts);
  await hub.close();
  await runDoctor(await m.reopen(), { fix: true });
  expect(commands()).toEqual(['newcmd']);
});

it('and on leaving without receipts', async () => {
  await rm(m.ctx.machine.paths.receipts);
  await leaveHub(await m.reopen());
  expect(commands()).toEqual([]);
});

it('and where they cannot be laid out anew, that is said once, and again to whoever asks', async () => {
  await updateReceipts(m.ctx.machine, ({ plugins: { delta: receipt } }) => {
    if (receipt !== undefined) receipt.loose = { files: [], hooks: [], servers: [] };
  });
  const warnings = async (mode: 'agent' | 'explicit') => (await syncMachine(await m.reopen(), { mode })).warnings;
  const stays = [expect.stringContaining('delta stays as an earlier program laid it out: NAME_CLASH')];
  expect([await warnings('agent'), await warnings('agent'), await warnings('explicit')]).toEqual([stays, [], stays]);
});
