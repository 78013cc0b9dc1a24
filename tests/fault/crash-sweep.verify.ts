import { expect, it } from 'vitest';
import { LOOSE_SCENARIOS } from './loose-scenarios.ts';
import { SCENARIOS } from './scenarios.ts';
import { SINGLE_FILES } from './single-files.ts';
import { sweep } from './sweep.ts';

let points = 0;

it.each([...SCENARIOS, ...LOOSE_SCENARIOS, ...SINGLE_FILES])(
  '$name: crashes, a full disk, a broken disk',
  { timeout: 600_000 },
  async (scenario) => {
    const tally = await sweep(scenario, { step: 1, crashes: true, errnos: ['ENOSPC', 'EIO'] });
    points += tally.points;
    console.log(
      `${scenario.name}: ${tally.points} crashes and errors (${points} so far), ${tally.differed.length} states differed`,
    );
    expect(tally.differed.slice(0, 5)).toEqual([]);
  },
);
