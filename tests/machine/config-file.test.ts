// config.json is one for all CLAUDE_CONFIG_DIRs of a HOME, whose own locks do not know each other.
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readConfig, updateConfig } from '../../server/src/machine/config-file.ts';
import { type Machine, openMachine } from '../../server/src/machine/machine.ts';
import { machinePaths } from '../../server/src/machine/paths.ts';
import { makeRig, type Rig } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});
afterEach(() => rig.close());

const inDir = (name: string): Machine =>
  openMachine({ paths: machinePaths({ home: rig.home, claudeConfigDir: rig.path(name) }), clock: () => new Date() });
const set = (m: Machine, key: string) => updateConfig(m, (raw) => ({ ...raw, [key]: key }));

it('changes from several config folders at once all last', async () => {
  const keys = Array.from({ length: 24 }, (_, n) => `key${n}`);
  await Promise.all(keys.map((key, n) => set(inDir(`dir${n % 3}`), key)));
  expect(await readConfig(rig.machine)).toMatchObject(Object.fromEntries(keys.map((key) => [key, key])));
  expect((await readdir(rig.path('.haivemind'))).sort()).toEqual(['config.json', 'lock']);
});

it('what a process that died left beside it goes with the next change, which makes no folder of the client', async () => {
  await rig.write('.haivemind/.config.json.hv-tmp', 'half');
  await set(inDir('one'), 'a');
  await rm(join(rig.home, '.haivemind', 'lock'), { recursive: true });
  await set(inDir('one'), 'b');
  expect(await readConfig(rig.machine)).toMatchObject({ a: 'a', b: 'b' });
  expect(Object.keys(await rig.snapshot())).toEqual(['.haivemind', '.haivemind/config.json']);
});
