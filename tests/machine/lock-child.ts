// Takes the lock again and again until told to stop; writes what it sees, so that two holders at once are noticed.
import { appendFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openMachine } from '../../server/src/machine/machine.ts';
import { machinePaths } from '../../server/src/machine/paths.ts';
import { withLock } from '../../server/src/machine/processes/lock.ts';

const [home = '', waitMs = '30000'] = process.argv.slice(2);
const machine = openMachine({ paths: machinePaths({ home }), clock: () => new Date() });
const file = (name: string): string => join(home, name);

function otherIsIn(): boolean {
  if (!existsSync(file('inside'))) return false;
  const pid = Number(readFileSync(file('inside'), 'utf8'));
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

while (!existsSync(file('stop'))) {
  await withLock(
    machine,
    'test',
    async () => {
      if (otherIsIn()) appendFileSync(file('violations'), `${process.pid}\n`);
      writeFileSync(file('inside'), String(process.pid));
      const count = existsSync(file('count')) ? Number(readFileSync(file('count'), 'utf8')) : 0;
      await sleep(Math.random() * 3);
      // Whole or not at all: a kill must not leave an empty file, which would count from 0 again.
      writeFileSync(file('count.new'), String(count + 1));
      renameSync(file('count.new'), file('count'));
      appendFileSync(file('log'), `${count + 1}\n`);
      rmSync(file('inside'));
    },
    { waitMs: Number(waitMs) },
  );
}
