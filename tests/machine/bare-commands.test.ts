// Bare commands that were deleted: named, left alone by updates, and back once a person asks for them.
import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findTampering } from '../../server/src/client/doctor/mend.ts';
import { inspect } from '../../server/src/machine/drift.ts';
import { leaveMachine } from '../../server/src/machine/leave.ts';
import { regainReceipts } from '../../server/src/machine/receipts/regain.ts';
import { makeRig, type Rig } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

const COMMANDS = '.claude/commands';
const core = (version: string, more: Record<string, string> = {}) =>
  rig.store(
    'haivemind-core',
    version,
    { 'commands/hv.md': 'hv', 'commands/sync.md': 'sync', ...more },
    { globalCommands: true },
  );
const there = async () =>
  Object.keys(await rig.snapshot())
    .filter((path) => path.startsWith(`${COMMANDS}/`))
    .map((path) => path.slice(COMMANDS.length + 1));
const named = async () => (await findTampering(rig.machine)).lost.get('haivemind-core') ?? [];

it('are named, and an update that does not change them respects it', async () => {
  await rig.apply({ install: [await core('1.0.0')] });
  expect([await named(), await inspect(rig.machine)]).toMatchObject([[], [{ state: 'verified', missing: [] }]]);
  await rm(rig.path(COMMANDS), { recursive: true });
  expect(await named()).toEqual(['command /hv', 'command /sync']);
  expect(await inspect(rig.machine)).toMatchObject([{ state: 'edited', missing: ['command /hv', 'command /sync'] }]);
  await rig.apply({ install: [await core('2.0.0')] });
  expect(await there()).toEqual([]);
});

it.each([
  ['asked for by name', () => rig.apply({ enable: ['haivemind-core'] })],
  ['installed again by force', async () => rig.apply({ install: [await core('1.0.0')], overwriteEdits: true })],
])('come back when the plugin is %s, as often as that is asked', async (_, ask) => {
  await rig.apply({ install: [await core('1.0.0')] });
  for (let time = 0; time < 2; time++) {
    await rm(rig.path(COMMANDS), { recursive: true });
    await ask();
    expect([await there(), await named()]).toEqual([['hv.md', 'sync.md'], []]);
  }
  // What is deleted afterwards stays so again.
  await rm(rig.path(COMMANDS, 'hv.md'));
  await rig.apply({ install: [await rig.store('other', '1.0.0', { 'commands/o.md': 'o' })] });
  expect(await there()).toEqual(['sync.md']);
  await leaveMachine(rig.machine);
  expect(Object.keys(await rig.snapshot())).toEqual([]);
});

it('do not come back over what a person put in their place', async () => {
  await rig.apply({ install: [await core('1.0.0')] });
  await rig.write(`${COMMANDS}/hv.md`, 'mine');
  await rm(rig.path(COMMANDS, 'sync.md'));
  await rig.apply({ enable: ['haivemind-core'] });
  await rig.apply({ install: [await core('1.0.0')], overwriteEdits: true });
  expect([await rig.read(COMMANDS, 'hv.md'), await rig.read(COMMANDS, 'sync.md')]).toEqual(['mine', 'sync']);
});

it('are still named where the receipts were lost too', async () => {
  await rig.apply({ install: [await core('1.0.0')] });
  await rm(rig.path(COMMANDS, 'hv.md'));
  await rm(rig.machine.paths.receipts);
  await regainReceipts(rig.machine, { layout: 'native', plan: [] });
  expect(await named()).toEqual(['command /hv']);
});
