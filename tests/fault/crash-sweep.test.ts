import { describe, expect, it } from 'vitest';
import { FILE_OPERATIONS } from '../../server/src/machine/file-port.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import { sweep } from './sweep.ts';

/** Every few operations here; `npm run verify` tries each, with every fault, and stops recovery too. */
const STEP = 6;
const operations = new Set<string>();

describe('a process that dies or fails at a file operation leaves the old or the new state', () => {
  it.each(SCENARIOS)('$name', { timeout: 180_000 }, async (scenario) => {
    const tally = await sweep(scenario, { step: STEP, recoveryStep: 0, errnos: [] });
    for (const name of tally.operations) operations.add(name);
    console.log(`${scenario.name}: ${tally.points} crash points, ${tally.differed.length} states differed`);
    expect(tally.differed.slice(0, 5)).toEqual([]);
    expect(tally.points).toBeGreaterThan(10);
  });

  it('has tried every kind of operation that an installation uses', () => {
    // Links between files are the lock's, times and copies the collector's.
    const elsewhere = ['link', 'utimes', 'copyFile'];
    expect([...operations].sort()).toEqual(FILE_OPERATIONS.filter((name) => !elsewhere.includes(name)).sort());
  });

  it('sees a change that is not whole', { timeout: 60_000 }, async () => {
    const half: Scenario = {
      name: 'two files, no journal',
      async prepare(rig) {
        return async (m) => {
          await m.port.writeFile(rig.path('one'), '1');
          await m.port.writeFile(rig.path('two'), '2');
        };
      },
    };
    const tally = await sweep(half, { step: 1, recoveryStep: 0, errnos: ['EIO'] });
    expect(tally.differed.length).toBeGreaterThan(2);
  });
});
