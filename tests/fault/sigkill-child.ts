// Does what a scenario does to a HOME that is ready for it, and kills itself at its n-th file operation.

import { FILE_OPERATIONS, type FilePort, realFilePort } from '../../server/src/machine/file-port.ts';
import { withLock } from '../../server/src/machine/lock.ts';
import { recover } from '../../server/src/machine/transaction.ts';
import { makeRig } from '../machine/rig.ts';
import { SCENARIOS } from './scenarios.ts';

const [home = '', name = '', at = '', when = ''] = process.argv.slice(2);
const scenario = SCENARIOS.find((one) => one.name === name);
if (scenario === undefined) throw new Error(`no scenario ${name}`);

const real = realFilePort() as unknown as Record<string, (...args: unknown[]) => Promise<void>>;
let count = 0;
const dying = (operation: string) => {
  return async (...args: unknown[]): Promise<void> => {
    const last = ++count === Number(at);
    if (last && when === 'before') process.kill(process.pid, 'SIGKILL');
    await real[operation]?.(...args);
    if (last) process.kill(process.pid, 'SIGKILL');
  };
};
const port = Object.fromEntries(FILE_OPERATIONS.map((operation) => [operation, dying(operation)]));

// What the change needs to know is made beside; the change itself is done to the HOME.
const beside = await makeRig();
const run = await scenario.prepare(beside);
const machine = (await makeRig({ home })).withPort(port as unknown as FilePort);
await beside.close();
await withLock(machine, 'change', async () => {
  await recover(machine);
  await run(machine);
});
