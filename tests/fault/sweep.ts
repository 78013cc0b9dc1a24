import { relative } from 'node:path';
import { HaiveError } from '../../server/src/domain/errors.ts';
import { recover } from '../../server/src/machine/change/transaction.ts';
import { type BenchHome, openBenchHome } from './bench-home.ts';
import { Crash, type Fault, faultyPort, halfOf, type OperationName, portAround } from './faulty-port.ts';
import { differing, type Image, imageHash, refresh } from './home-image.ts';
import { noteCallSite } from './noted-calls.ts';
import type { Scenario } from './scenarios.ts';

export interface Tally {
  points: number;
  /** One line each, for people. */
  differed: string[];
  operations: Set<string>;
}

const TWO_PATHS = new Set<OperationName>(['rename', 'link']);

/**
 * Runs something on the HOME as it is and gives every state in which a process that dies would leave it: after each
 * operation, and with half of each write.
 */
async function statesOf(bench: BenchHome, tally: Tally, run: (m: BenchHome['rig']['machine']) => Promise<unknown>) {
  const { home } = bench.rig;
  const states: Image[] = [bench.now];
  let image = bench.now;
  const inside = (path: unknown): string => relative(home, String(path));
  const port = portAround((name, args, go) => {
    tally.operations.add(name);
    noteCallSite();
    const path = inside(name === 'symlink' ? args[1] : [args[0]].flat()[0]);
    if (name === 'writeFile') {
      const { mode, exclusive, append } = (args[2] ?? {}) as { mode?: number; exclusive?: boolean; append?: boolean };
      const there = image.get(path);
      const bits = there?.split(' ', 1)[0] ?? ((mode ?? 0o644) & ~process.umask()).toString(8);
      if (there === undefined || !exclusive)
        states.push(
          new Map(image).set(path, `${(append && there) || `${bits} `}${halfOf(args[1]).toString('latin1')}`),
        );
    }
    go();
    image = new Map(image);
    refresh(image, home, path);
    if (TWO_PATHS.has(name)) refresh(image, home, inside(args[1]));
    states.push(image);
  });
  await run(bench.rig.withPort(port));
  return states;
}

export interface Exploration extends Tally {
  /** States in which a process that dies in the change leaves the HOME. */
  first: number;
  /** Further states that recoveries which die leave, however often they do. */
  again: number;
}

/**
 * Every state of the HOME that any number of crashes can bring about: those of the change itself, then those of the
 * recovery from each, until there is no new one. From each, a recovery must reach the old or the new state.
 */
export async function explore(scenario: Scenario): Promise<Exploration> {
  const tally: Tally = { points: 0, differed: [], operations: new Set() };
  const bench = await openBenchHome(scenario);
  const seen = new Set<string>();
  const queue: { image: Image; label: string }[] = [];
  const add = (states: Image[], label: (n: number) => string): void => {
    for (const [n, image] of states.entries()) {
      const hash = imageHash(image);
      if (seen.has(hash)) continue;
      seen.add(hash);
      queue.push({ image, label: label(n) });
    }
  };
  try {
    bench.show(bench.before);
    add(await statesOf(bench, tally, bench.run), (n) => `state ${n}`);
    bench.look();
    const first = queue.length;
    for (let i = 0; i < queue.length; i++) {
      const { image, label } = queue[i] as (typeof queue)[number];
      tally.points++;
      bench.show(image);
      try {
        const states = await statesOf(bench, tally, (m) => bench.settle(m));
        const found = bench.look();
        const wrong = await bench.difference(found);
        if (wrong !== null) tally.differed.push(`${scenario.name}, ${label}: ${wrong}`);
        // The states are kept by following the operations: the disk must say the same in the end.
        const unlike = differing(states.at(-1) ?? image, found);
        if (unlike.length > 0) tally.differed.push(`${scenario.name}, ${label}: the sweep lost track of ${unlike[0]}`);
        // Names by chance would make new states for ever.
        if (scenario.verdict === undefined) add(states, (n) => `${label}, recovery state ${n}`);
      } catch (error) {
        bench.look();
        tally.differed.push(`${scenario.name}, ${label}: recovery: ${String(error)}`);
      }
    }
    return { ...tally, first, again: queue.length - first };
  } finally {
    await bench.close();
  }
}

export interface FaultOptions {
  /** Every how many operations a fault is tried (1: all). */
  step: number;
  /** The first operation that is tried. */
  from?: number;
  /** Stop the process before, after and in the middle of the operation. */
  crashes: boolean;
  errnos: string[];
}

async function attempt(bench: BenchHome, fault: Fault, tally: Tally): Promise<{ error: unknown }> {
  bench.show(bench.before);
  const faulty = faultyPort(fault);
  tally.points++;
  let error: unknown;
  try {
    await bench.run(bench.rig.withPort(faulty.port));
  } catch (thrown) {
    error = thrown;
  }
  for (const name of faulty.calls) tally.operations.add(name);
  return { error };
}

async function check(bench: BenchHome, label: string, tally: Tally, told: boolean): Promise<void> {
  const { name } = bench.scenario;
  try {
    const m = bench.rig.withPort(faultyPort({ kind: 'none' }).port);
    await (told ? recover(m) : bench.settle(m));
  } catch (error) {
    tally.differed.push(`${name}, ${label}: recovery: ${String(error)}`);
  }
  const found = bench.look();
  const wrong = await bench.difference(found);
  if (wrong !== null) tally.differed.push(`${name}, ${label}: ${wrong}`);
  else if (told && !bench.isNew(found))
    tally.differed.push(`${name}, ${label}: success was told, but the state is old`);
}

async function crashAt(bench: BenchHome, at: number, tally: Tally): Promise<void> {
  for (const when of ['before', 'after', 'torn'] as const) {
    const label = `crash ${when} operation ${at}`;
    const { error } = await attempt(bench, { kind: 'crash', at, when }, tally);
    if (!(error instanceof Crash) && when !== 'after')
      tally.differed.push(`${bench.scenario.name}, ${label}: the crash was swallowed`);
    await check(bench, label, tally, false);
  }
}

async function failAt(bench: BenchHome, at: number, errno: string, tally: Tally): Promise<void> {
  for (const once of [true, false]) {
    for (const short of errno === 'ENOSPC' ? [true, false] : [false]) {
      const label = `${errno}${short ? ' after a short write' : ''} at operation ${at}${once ? '' : ' and on'}`;
      const { error } = await attempt(bench, { kind: 'error', at, errno, once, short }, tally);
      const coded = error instanceof HaiveError && ['DISK_FULL', 'READ_ONLY', 'IO_ERROR'].includes(error.code);
      if (error !== undefined && !coded)
        tally.differed.push(`${bench.scenario.name}, ${label}: threw ${String(error)}`);
      await check(bench, label, tally, error === undefined);
    }
  }
}

/** Stops or fails a running change at its operations, recovers, and compares the whole HOME with the old and the new state. */
export async function sweep(scenario: Scenario, options: FaultOptions): Promise<Tally> {
  const tally: Tally = { points: 0, differed: [], operations: new Set() };
  const bench = await openBenchHome(scenario);
  try {
    for (let at = options.from ?? 1; at <= bench.count; at += options.step) {
      if (options.crashes) await crashAt(bench, at, tally);
      for (const errno of options.errnos) await failAt(bench, at, errno, tally);
    }
  } finally {
    await bench.close();
  }
  return tally;
}
