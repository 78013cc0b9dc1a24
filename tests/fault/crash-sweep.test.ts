import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FILE_OPERATIONS } from '../../server/src/machine/files/file-port.ts';
import { type CallSite, callsNeverHit, mutatingCalls } from './call-sites.ts';
import { LOOSE_SCENARIOS } from './loose-scenarios.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import { SINGLE_FILES } from './single-files.ts';
import { explore, sweep } from './sweep.ts';

const ALL = [...SCENARIOS, ...LOOSE_SCENARIOS, ...SINGLE_FILES];
const operations = new Set<string>();
let points = 0;

describe('a process that dies at any file operation, and recoveries that die too, leave the old or the new state', () => {
  it.each(ALL)('$name', { timeout: 180_000 }, async (scenario) => {
    const found = await explore(scenario);
    for (const name of found.operations) operations.add(name);
    points += found.points;
    console.log(
      `${scenario.name}: ${found.first} states by crashes of the change, ${found.again} by crashes of recoveries, ` +
        `${found.differed.length} differed (${points} states so far)`,
    );
    expect(found.differed.slice(0, 5)).toEqual([]);
    expect(found.first).toBeGreaterThan(2);
  });

  it('has tried every kind of operation', () => {
    expect([...operations].sort()).toEqual([...FILE_OPERATIONS].sort());
  });
});

describe('a change that is stopped or fails on its way', () => {
  /** A sample; `npm run verify` takes every operation and every error. */
  it.each(ALL)('$name', { timeout: 180_000 }, async (scenario) => {
    const few = SINGLE_FILES.includes(scenario);
    const tally = await sweep(scenario, { step: few ? 1 : 23, from: few ? 1 : 5, crashes: true, errnos: ['ENOSPC'] });
    console.log(`${scenario.name}: ${tally.points} crashes and errors, ${tally.differed.length} states differed`);
    expect(tally.differed.slice(0, 5)).toEqual([]);
    expect(tally.points).toBeGreaterThan(0);
  });
});

const WINDOWS = ['removeFile(m.port, path)', "m.port.symlink(text, path, 'junction')"];

/** Tried elsewhere: the lock's holder must really die, a developer's own copy is no change, and this is not Windows. */
const ELSEWHERE = (call: CallSite): boolean =>
  call.file === 'processes/lock.ts' ||
  call.file === 'dev-override.ts' ||
  (call.file === 'links.ts' && WINDOWS.includes(call.text)) ||
  (call.text.includes('exclusive: true') && call.file === 'publisher-key.ts');

it('every call that changes the disk was reached', () => {
  const never = callsNeverHit().filter((call) => !ELSEWHERE(call));
  console.log(`${mutatingCalls().length} calls change the disk; not reached here: ${callsNeverHit().length}`);
  expect(never.map(({ file, line, text }) => `${file}:${line} ${text}`)).toEqual([]);
});

describe('the sweep itself', () => {
  const half: Scenario = {
    name: 'two files, no journal',
    async prepare(rig) {
      return async (m) => {
        await m.port.writeFile(rig.path('one'), '1');
        await m.port.writeFile(rig.path('two'), '2');
      };
    },
  };

  it('sees a change that is not whole', async () => {
    expect((await explore(half)).differed.length).toBe(3);
    const tally = await sweep(half, { step: 1, crashes: true, errnos: ['EIO'] });
    expect(tally.differed.length).toBeGreaterThan(2);
  });

  it('sees a recovery that may not be stopped', async () => {
    const torn: Scenario = {
      name: 'a bare write, done again where the file is missing',
      repeated: true,
      async prepare(rig) {
        return async (m) => {
          if (!existsSync(rig.path('done'))) await m.port.writeFile(rig.path('done'), 'done');
        };
      },
    };
    expect((await explore(torn)).differed.length).toBe(1);
  });
});
