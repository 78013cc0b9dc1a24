// Does its share of random operations on a HOME that others change too, and logs each under the lock.
import { appendFileSync } from 'node:fs';
import { recover } from '../../../server/src/machine/change/transaction.ts';
import { withLock } from '../../../server/src/machine/processes/lock.ts';
import { makeRig } from '../../machine/rig.ts';
import { observe, perform } from './perform.ts';
import { operationsOf } from './shares.ts';

const [home = '', log = '', seed = '', worker = '', from = ''] = process.argv.slice(2);
const { machine } = await makeRig({ home });
const note = (line: object): void => appendFileSync(log, `${JSON.stringify({ worker: Number(worker), ...line })}\n`);

for (const [i, operation] of operationsOf(Number(seed), Number(worker)).entries()) {
  if (i < Number(from)) continue;
  await withLock(
    machine,
    'random',
    async () => {
      await recover(machine);
      note({ i, operation, found: await observe(machine) });
      await perform(machine, operation);
      note({ i, done: true });
    },
    { waitMs: 120_000 },
  );
}
