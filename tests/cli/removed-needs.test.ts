// What a removed plugin needed.
import { expect, it } from 'vitest';
import { removePlugin } from '../../server/src/client/install/remove.ts';
import { syncMachine } from '../../server/src/client/sync/index.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { serve, version } from './scripted-hub.ts';
import { hub, m, scriptedPair } from './scripted-pair.ts';

const command = (text: string) => ({ 'commands/a.md': text });
const needs = (name: string) => ({ dependencies: [{ name, range: '^1.0.0', kind: 'required' as const }] });
scriptedPair();
const installed = async (): Promise<string[]> => Object.keys((await readReceipts(m.ctx.machine)).plugins).sort();

const app = version('app', '1.0.0', command('app'), { entry: { origin: 'explicit', ...needs('lib') } });
const lib = (origin: 'dependency' | 'explicit') =>
  version('lib', '1.0.0', command('lib'), { entry: { origin, requiredBy: ['app'], ...needs('base') } });
const base = version('base', '1.0.0', command('base'), { entry: { origin: 'dependency', requiredBy: ['lib'] } });

it('goes with it, and what that needed too', async () => {
  serve(hub, [app, lib('dependency'), base]);
  await syncMachine(m.ctx, { mode: 'explicit' });
  await expect(removePlugin(m.ctx, 'lib')).rejects.toEqual(expect.objectContaining({ code: 'DEPENDENT_INSTALLED' }));
  await hub.close();
  expect((await removePlugin(m.ctx, 'app')).removed.sort()).toEqual(['app', 'base', 'lib']);
  expect(await installed()).toEqual([]);
});

it('stays where somebody installed it by hand, with what it needs', async () => {
  serve(hub, [app, lib('explicit'), base]);
  await syncMachine(m.ctx, { mode: 'explicit' });
  await hub.close();
  expect((await removePlugin(m.ctx, 'app')).removed).toEqual(['app']);
  expect(await installed()).toEqual(['base', 'lib']);
});

it('stays where another plugin needs it', async () => {
  const other = version('other', '1.0.0', command('o'), { entry: { origin: 'explicit', ...needs('base') } });
  serve(hub, [app, lib('dependency'), base, other]);
  await syncMachine(m.ctx, { mode: 'explicit' });
  await hub.close();
  expect((await removePlugin(m.ctx, 'app')).removed.sort()).toEqual(['app', 'lib']);
  expect(await installed()).toEqual(['base', 'other']);
});
