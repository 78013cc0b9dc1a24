// Changes one HOME at random until it is killed, several of these at once.
import { setTimeout as sleep } from 'node:timers/promises';
import { applyChange, recover } from '../../server/src/machine/change/transaction.ts';
import { withLock } from '../../server/src/machine/processes/lock.ts';
import { readReceipts } from '../../server/src/machine/receipts/index.ts';
import { makeRig, makeVersion } from '../machine/rig.ts';

const [home = ''] = process.argv.slice(2);
const { machine } = await makeRig({ home });
const pick = <T>(from: readonly T[]): T => from[Math.floor(Math.random() * from.length)] as T;

for (;;) {
  const name = pick(['a', 'b', 'c']);
  const version = pick(['1.0.0', '2.0.0', '3.0.0']);
  await withLock(
    machine,
    'random',
    async () => {
      await recover(machine);
      const { install } = makeVersion(name, version, { 'commands/x.md': `x ${version}`, same: name });
      const there = (await readReceipts(machine)).plugins[name] !== undefined;
      const remove = there && Math.random() < 0.3;
      const change = remove ? { install: [], remove: [name] } : { install: [install], remove: [] };
      await applyChange(machine, { ...change, reason: 'sync' });
    },
    { waitMs: 60_000 },
  );
  await sleep(Math.random() * 5);
}
