import { mkdtemp, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { recover } from '../../server/src/machine/change/transaction.ts';
import { ensureRoot, type Machine } from '../../server/src/machine/machine.ts';
import { makeRig, type Rig } from '../machine/rig.ts';
import { portAround } from './faulty-port.ts';
import { differing, type Image, readImage, restore, visible } from './home-image.ts';
import { noteCallSite } from './noted-calls.ts';
import type { Scenario } from './scenarios.ts';

/** One scenario's HOME, its state before and after, and the way back to any state. */
export interface BenchHome {
  scenario: Scenario;
  rig: Rig;
  run: (m: Machine) => Promise<unknown>;
  before: Image;
  after: Image;
  /** Operations of a run without faults. */
  count: number;
  /** The state that is on the disk. */
  now: Image;
  /** Puts the disk into a state. */
  show(image: Image): void;
  /** Reads the disk. */
  look(): Image;
  /** What the next start of any of our programs does. */
  settle(m: Machine): Promise<void>;
  /** Null when the state on the disk is the old or the new one, otherwise the first path that is neither, for people. */
  difference(found: Image): Promise<string | null>;
  /** Whether the state is the new one. */
  isNew(found: Image): boolean;
  close(): Promise<void>;
}

/** An empty HOME in memory, where there is such a folder: thousands of states are made. */
export async function memoryHome(base?: string): Promise<string> {
  const memory = (await stat('/dev/shm').catch(() => null)) === null ? tmpdir() : '/dev/shm';
  return mkdtemp(join(base ?? memory, 'hv sweep ü-'));
}

/** @param base the folder in which the HOME is made */
export async function openBenchHome(scenario: Scenario, base?: string): Promise<BenchHome> {
  const rig = await makeRig({ home: await memoryHome(base) });
  await ensureRoot(rig.machine);
  const run = await scenario.prepare(rig);
  const before = readImage(rig.home);
  let count = 0;
  const counting = portAround((_name, _args, go) => {
    count++;
    noteCallSite();
    go();
  });
  await run(rig.withPort(counting));
  const after = readImage(rig.home);
  const shown = [visible(before), visible(after)] as const;
  const bench: BenchHome = {
    scenario,
    rig,
    run,
    before,
    after,
    count,
    now: after,
    show(image) {
      restore(rig.home, bench.now, image);
      bench.now = image;
    },
    look() {
      bench.now = readImage(rig.home);
      return bench.now;
    },
    async settle(m) {
      await recover(m);
      if (!scenario.repeated) return;
      // As the same command would do again: the lock makes our folder before anything else.
      await ensureRoot(m);
      await run(m);
    },
    async difference(found) {
      if (scenario.verdict !== undefined) return scenario.verdict(rig);
      const is = visible(found);
      if (scenario.repeated) forgetEmptyFolders(is, after);
      const [old, fresh] = shown.map((state) => differing(is, state)) as [string[], string[]];
      if (fresh.length === 0 || (old.length === 0 && !scenario.repeated)) return null;
      const closer = old.length < fresh.length ? old : fresh;
      return `${closer.length} paths, first ${closer[0]}: ${JSON.stringify(is.get(closer[0] ?? '')?.slice(0, 300))}`;
    },
    isNew: (found) => scenario.verdict !== undefined || differing(visible(found), shown[1]).length === 0,
    close: () => rig.close(),
  };
  return bench;
}

/**
 * When leaving dies between the removal of our folder and of the empty ones above it, nothing says any more that those
 * were ours: they stay. Nothing else may.
 */
function forgetEmptyFolders(found: Image, after: Image): void {
  for (const path of ['.claude/plugins', '.claude']) {
    const alone = ![...found.keys()].some((other) => other.startsWith(`${path}/`));
    if (found.get(path) === 'dir' && !after.has(path) && alone) found.delete(path);
  }
}
