import { spawn } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { withLock } from '../../server/src/machine/processes/lock.ts';
import { bundleChild } from '../machine/bundle.ts';
import { openBenchHome } from './bench-home.ts';
import { LOOSE_SCENARIOS } from './loose-scenarios.ts';
import { SCENARIOS } from './scenarios.ts';

/** A real process, a real SIGKILL, the real port with its fsyncs, the real lock; spread over all of a change's operations. */
const EACH = 20;

let child: Awaited<ReturnType<typeof bundleChild>>;
let kills = 0;

beforeAll(async () => {
  child = await bundleChild(new URL('sigkill-child.ts', import.meta.url).pathname);
});
afterAll(() => child.close());

function endOf(args: string[]): Promise<{ signal: string | null; errors: string }> {
  return new Promise((resolve, reject) => {
    const running = spawn('node', [child.file, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    running.stderr.on('data', (bytes) => {
      errors += String(bytes);
    });
    running.once('error', reject);
    running.once('close', (_code, signal) => resolve({ signal, errors }));
  });
}

it.each([...SCENARIOS, ...LOOSE_SCENARIOS])('$name: killed', { timeout: 300_000 }, async (scenario) => {
  const bench = await openBenchHome(scenario);
  const differed: string[] = [];
  let killed = 0;
  try {
    // The lock's own operations come before those of the change.
    const last = bench.count + 4;
    for (let n = 0; n < EACH; n++) {
      const at = 1 + Math.round((n * (last - 1)) / (EACH - 1));
      const when = n % 2 === 0 ? 'before' : 'after';
      bench.show(bench.before);
      const { signal, errors } = await endOf([bench.rig.home, scenario.name, String(at), when, process.argv[1] ?? '']);
      if (signal === 'SIGKILL') killed++;
      if (errors !== '') differed.push(`${when} ${at}: ${errors.slice(0, 300)}`);
      await withLock(bench.rig.machine, 'check', () => bench.settle(bench.rig.machine), { waitMs: 1_000 });
      const wrong = await bench.difference(bench.look());
      if (wrong !== null) differed.push(`${when} ${at}: ${wrong}`);
    }
  } finally {
    await bench.close();
  }
  kills += killed;
  console.log(`${scenario.name}: ${killed} processes killed (${kills} so far), ${differed.length} states differed`);
  expect(differed).toEqual([]);
  // Blobs kept by one run spare the next some operations, so the last points may lie beyond its end.
  expect(killed).toBeGreaterThan(EACH / 2);
});

it('has killed at least 200 processes', () => {
  expect(kills).toBeGreaterThanOrEqual(200);
});
