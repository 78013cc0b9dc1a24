import { describe, expect, it } from 'vitest';
import { SCENARIOS } from './scenarios.ts';
import { sweep } from './sweep.ts';

const ERRNOS = ['ENOSPC', 'EACCES', 'EIO', 'EROFS', 'EXDEV'];
let points = 0;

describe('every operation of every change', () => {
  it.each(SCENARIOS)('$name: crashes, also of the recovery', { timeout: 3_600_000 }, async (scenario) => {
    const tally = await sweep(scenario, { step: 1, recoveryStep: scenario.repeated ? 0 : 3, errnos: [] });
    points += tally.points;
    console.log(
      `${scenario.name}: ${tally.points} crash points (${points} so far), ${tally.differed.length} states differed`,
    );
    expect(tally.differed.slice(0, 5)).toEqual([]);
  });

  it.each(SCENARIOS)('$name: errors', { timeout: 3_600_000 }, async (scenario) => {
    const tally = await sweep(scenario, { step: 1, recoveryStep: 0, errnos: ERRNOS });
    console.log(`${scenario.name}: ${tally.points} faults, ${tally.differed.length} states differed`);
    expect(tally.differed.slice(0, 5)).toEqual([]);
  });
});
