import { cp, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { HaiveError } from '../../server/src/domain/errors.ts';
import { ensureRoot, type Machine } from '../../server/src/machine/machine.ts';
import { recover } from '../../server/src/machine/transaction.ts';
import { makeRig, type Rig, snapshot } from '../machine/rig.ts';
import { Crash, type Fault, type FaultyPort, faultyPort } from './faulty-port.ts';
import type { Scenario } from './scenarios.ts';

export interface Tally {
  points: number;
  /** One line each, for people. */
  differed: string[];
  operations: Set<string>;
}

export interface SweepOptions {
  /** Every how many operations a crash is tried (1: all). */
  step: number;
  /** Every how many operations of a recovery it is stopped too (0: never). */
  recoveryStep: number;
  errnos: string[];
}

type Snapshot = Record<string, string>;

interface Bench {
  rig: Rig;
  run: (m: Machine) => Promise<unknown>;
  before: Snapshot;
  after: Snapshot;
  /** Operations of a run without faults. */
  count: number;
  reset(): Promise<void>;
  close(): Promise<void>;
}

async function settle(scenario: Scenario, bench: Pick<Bench, 'rig' | 'run'>): Promise<void> {
  const m = bench.rig.withPort(faultyPort({ kind: 'none' }).port);
  await recover(m);
  if (scenario.repeated) {
    // As `hv leave` would do again: the lock makes our folder before anything else.
    await ensureRoot(m);
    await bench.run(m);
  }
}

async function setUp(scenario: Scenario, tally: Tally): Promise<Bench> {
  // In memory where there is such a folder: thousands of HOMEs are made.
  const base = (await stat('/dev/shm').catch(() => null)) === null ? tmpdir() : '/dev/shm';
  const rig = await makeRig({ home: await mkdtemp(join(base, 'hv sweep ü-')) });
  await ensureRoot(rig.machine);
  const run = await scenario.prepare(rig);
  const kept = `${rig.home}-kept`;
  await cp(rig.home, kept, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  const before = await snapshot(rig.home);
  const counter = faultyPort({ kind: 'none' });
  await run(rig.withPort(counter.port));
  for (const name of counter.calls) tally.operations.add(name);
  return {
    rig,
    run,
    before,
    after: await snapshot(rig.home),
    count: counter.calls.length,
    async reset() {
      await rm(rig.home, { recursive: true, force: true });
      await cp(kept, rig.home, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
    },
    async close() {
      await rm(kept, { recursive: true, force: true });
      await rig.close();
    },
  };
}

/** Names the first path that is neither as before nor as after. */
function difference(bench: Bench, found: Snapshot): string | null {
  if (isDeepStrictEqual(found, bench.before) || isDeepStrictEqual(found, bench.after)) return null;
  const against = (other: Snapshot): string[] =>
    [...new Set([...Object.keys(found), ...Object.keys(other)])].filter((path) => found[path] !== other[path]);
  const [old, now] = [against(bench.before), against(bench.after)];
  const closer = old.length < now.length ? old : now;
  return `${closer.length} paths, first ${closer[0]}: ${JSON.stringify(found[closer[0] ?? '']?.slice(0, 300))}`;
}

/**
 * When leaving dies between the removal of our folder and of the empty ones above it, nothing says any more that those
 * were ours: they stay. Nothing else may.
 */
function forgetEmptyFolders(bench: Bench, found: Snapshot): void {
  for (const path of ['.claude/plugins', '.claude']) {
    const alone = !Object.keys(found).some((other) => other.startsWith(`${path}/`));
    if (found[path] === 'dir' && bench.after[path] === undefined && alone) delete found[path];
  }
}

async function attempt(bench: Bench, fault: Fault, tally: Tally): Promise<{ faulty: FaultyPort; error: unknown }> {
  await bench.reset();
  const faulty = faultyPort(fault);
  tally.points++;
  try {
    await bench.run(bench.rig.withPort(faulty.port));
    return { faulty, error: undefined };
  } catch (error) {
    return { faulty, error };
  }
}

const isCrash = (error: unknown): boolean => error instanceof Crash;

async function check(scenario: Scenario, bench: Bench, label: string, tally: Tally, mustBeNew = false): Promise<void> {
  await settle(scenario, bench).catch((error: unknown) => tally.differed.push(`${label}: recovery: ${String(error)}`));
  const found = await snapshot(bench.rig.home);
  if (scenario.repeated) forgetEmptyFolders(bench, found);
  const wrong = difference(bench, found);
  if (wrong !== null) tally.differed.push(`${scenario.name}, ${label}: ${wrong}`);
  else if ((mustBeNew || scenario.repeated) && !isDeepStrictEqual(found, bench.after))
    tally.differed.push(`${scenario.name}, ${label}: success was told, but the state is old`);
}

async function crashAt(scenario: Scenario, bench: Bench, at: number, tally: Tally, step: number): Promise<void> {
  for (const when of ['before', 'after', 'torn'] as const) {
    const fault: Fault = { kind: 'crash', at, when };
    const label = `crash ${when} operation ${at}`;
    const { error } = await attempt(bench, fault, tally);
    if (!isCrash(error) && when !== 'after') tally.differed.push(`${scenario.name}, ${label}: the crash was swallowed`);
    await check(scenario, bench, label, tally);
    if (step === 0) continue;
    const m = bench.rig.machine;
    for (let k = 1; ; k += step) {
      await attempt(bench, fault, tally);
      const second = faultyPort({ kind: 'crash', at: k, when });
      try {
        await recover(bench.rig.withPort(second.port));
      } catch (again) {
        if (!isCrash(again)) throw again;
      }
      await check(scenario, { ...bench, rig: { ...bench.rig, machine: m } }, `${label}, recovery ${when} ${k}`, tally);
      if (!second.crashed()) break;
    }
  }
}

async function failAt(scenario: Scenario, bench: Bench, at: number, errno: string, tally: Tally): Promise<void> {
  for (const once of [true, false]) {
    for (const short of errno === 'ENOSPC' ? [true, false] : [false]) {
      const label = `${errno}${short ? ' after a short write' : ''} at operation ${at}${once ? '' : ' and on'}`;
      const { error } = await attempt(bench, { kind: 'error', at, errno, once, short }, tally);
      const coded = error instanceof HaiveError && ['DISK_FULL', 'READ_ONLY', 'IO_ERROR'].includes(error.code);
      if (error !== undefined && !coded) tally.differed.push(`${scenario.name}, ${label}: threw ${String(error)}`);
      await check(scenario, bench, label, tally, error === undefined);
    }
  }
}

/** Stops or fails one scenario at its operations, recovers, and compares the whole HOME with the old and the new state. */
export async function sweep(scenario: Scenario, options: SweepOptions): Promise<Tally> {
  const tally: Tally = { points: 0, differed: [], operations: new Set() };
  const bench = await setUp(scenario, tally);
  try {
    for (let at = 1; at <= bench.count; at += options.step) {
      await crashAt(scenario, bench, at, tally, options.recoveryStep);
      for (const errno of options.errnos) await failAt(scenario, bench, at, errno, tally);
    }
  } finally {
    await bench.close();
  }
  return tally;
}
