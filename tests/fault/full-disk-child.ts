// Makes changes on a file system that has room for a few pages more each time; says what happened as JSON.
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HaiveError } from '../../server/src/domain/errors.ts';
import { recover } from '../../server/src/machine/change/transaction.ts';
import { openBenchHome } from './bench-home.ts';
import { SCENARIOS } from './scenarios.ts';

const [disk = ''] = process.argv.slice(2);
const found = { tries: 0, full: 0, done: 0, size: 0, differed: [] as string[] };
const free = (): number => statfsSync(disk).bavail;
found.size = statfsSync(disk).blocks * statfsSync(disk).bsize;

for (const scenario of SCENARIOS) {
  const bench = await openBenchHome(scenario, disk);
  const m = bench.rig.machine;
  for (let pages = 0, done = 0; done < 3 && pages < 200; pages++) {
    bench.show(bench.before);
    const filler = join(disk, 'filler');
    writeFileSync(filler, Buffer.alloc(Math.max(0, free() - pages) * statfsSync(disk).bsize));
    const label = `${scenario.name}, ${pages} pages left`;
    found.tries++;
    let error: unknown;
    try {
      await bench.run(m);
    } catch (thrown) {
      error = thrown;
    }
    const full = error instanceof HaiveError && error.code === 'DISK_FULL';
    if (error !== undefined && !full) found.differed.push(`${label}: ${String(error)}`);
    if (full) found.full++;
    else done++;
    // Once while there is no room, which may fail, and again when there is.
    await recover(m).catch(() => undefined);
    rmSync(filler);
    try {
      await (full ? bench.settle(m) : recover(m));
      const state = bench.look();
      const wrong = (await bench.difference(state)) ?? (full || bench.isNew(state) ? null : 'told done, but old');
      if (wrong !== null) found.differed.push(`${label}: ${wrong}`);
    } catch (thrown) {
      bench.look();
      found.differed.push(`${label}: recovery: ${String(thrown)}`);
    }
    if (error === undefined) found.done++;
  }
  await bench.close();
}
console.log(JSON.stringify(found));
