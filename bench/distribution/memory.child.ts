// Loaded into a process that is measured: on SIGUSR2 it collects garbage and writes what it holds to the file named by BENCH_MEMORY.
import { renameSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;
const file = process.env.BENCH_MEMORY ?? '';
if (file !== '') {
  process.on('SIGUSR2', () => {
    for (let i = 0; i < 3; i++) gc();
    const { rss, heapUsed, external } = process.memoryUsage();
    writeFileSync(`${file}.new`, JSON.stringify({ rss, held: heapUsed + external }));
    renameSync(`${file}.new`, file);
  });
}
