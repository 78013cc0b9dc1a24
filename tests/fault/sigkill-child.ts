// Does what a scenario does to a HOME that is ready for it, and kills itself at its n-th file operation.

import { recover } from '../../server/src/machine/change/transaction.ts';
import { withLock } from '../../server/src/machine/processes/lock.ts';
import { makeRig } from '../machine/rig.ts';
import { dyingPort } from './dying-port.ts';
import { LOOSE_SCENARIOS } from './loose-scenarios.ts';
import { SCENARIOS } from './scenarios.ts';

const [home = '', name = '', at = '', when = '', program = ''] = process.argv.slice(2);
// The machine's history names the program that acts: the same as of the runs that this one is compared with.
process.argv[1] = program;
const scenario = [...SCENARIOS, ...LOOSE_SCENARIOS].find((one) => one.name === name);
if (scenario === undefined) throw new Error(`no scenario ${name}`);

// What the change needs to know is made beside; the change itself is done to the HOME.
const beside = await makeRig();
const run = await scenario.prepare(beside);
const machine = (await makeRig({ home })).withPort(dyingPort(Number(at), when === 'before'));
await beside.close();
await withLock(machine, 'change', async () => {
  await recover(machine);
  await run(machine);
});
