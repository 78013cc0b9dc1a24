import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { HaiveError } from '../../../server/src/domain/errors.ts';
import { recover } from '../../../server/src/machine/change/transaction.ts';
import { ensureRoot } from '../../../server/src/machine/machine.ts';
import { makeRig, type Rig } from '../../machine/rig.ts';
import { memoryHome } from '../bench-home.ts';
import { Crash, type Fault, faultyPort } from '../faulty-port.ts';
import { differing, type Image, readImage, restore, visible } from '../home-image.ts';
import { apply, EMPTY, type Model, type Operation, operation, view } from './operations.ts';
import { isPersons, observe, perform, storeAll } from './perform.ts';

export interface Counts {
  operations: number;
  faults: number;
  /** After a fault: as before it, as if it had not been. */
  old: number;
  fresh: number;
}

interface Real {
  rig: Rig;
  counts: Counts;
}

interface State {
  model: Model;
}

/** Where in a change a fault comes: a part of its operations. */
type Where = { part: number; kind: 'before' | 'after' | 'torn' | 'ENOSPC' | 'EIO' | 'EACCES'; once: boolean };

function faultOf(where: Where, count: number): Fault {
  const at = 1 + Math.floor(where.part * count);
  const { kind, once } = where;
  if (kind === 'before' || kind === 'after' || kind === 'torn') return { kind: 'crash', at, when: kind };
  return { kind: 'error', at, errno: kind, once, short: kind === 'ENOSPC' };
}

/** Blobs and records lie there from the start, and no change touches them. */
const readHome = (rig: Rig): Image => readImage(rig.home, /\.haivemind\/(blobs|records)$/);

/** One step: the operation without a fault and, from the same state, with each of these. */
class Step implements fc.AsyncCommand<State, Real> {
  constructor(
    readonly operation: Operation,
    readonly faults: readonly Where[],
  ) {}

  check(): boolean {
    return true;
  }

  toString(): string {
    return JSON.stringify([this.operation, this.faults]);
  }

  async run(state: State, { rig, counts }: Real): Promise<void> {
    const before = readHome(rig);
    const free = faultyPort({ kind: 'none' });
    await perform(rig.withPort(free.port), this.operation);
    counts.operations++;
    const after = readHome(rig);
    const model = apply(state.model, this.operation);
    this.mustHold(model, await observe(rig.machine), after);
    state.model = model;
    if (free.calls.length === 0 || isPersons(this.operation)) return;
    for (const where of this.faults) {
      restore(rig.home, readHome(rig), before);
      const is = await this.withFault(rig, faultOf(where, free.calls.length), before, after);
      counts.faults++;
      counts[is]++;
    }
    // On with the new state, so that the model has one course.
    restore(rig.home, readHome(rig), after);
  }

  /** @returns which of the two states it ended in. @throws Error where it is neither, or not what was told */
  private async withFault(rig: Rig, fault: Fault, before: Image, after: Image): Promise<'old' | 'fresh'> {
    const what = `${JSON.stringify(this.operation)} with ${JSON.stringify(fault)}`;
    let error: unknown;
    try {
      await perform(rig.withPort(faultyPort(fault).port), this.operation);
    } catch (thrown) {
      error = thrown;
    }
    const clean = rig.withPort(faultyPort({ kind: 'none' }).port);
    await recover(clean);
    // Collecting is no change: it is simply done again.
    if (this.operation.kind === 'collect') await perform(clean, this.operation);
    const found = visible(readHome(rig));
    const [old, fresh] = [before, after].map((image) => differing(found, visible(image))) as [string[], string[]];
    if (old.length > 0 && fresh.length > 0)
      throw new Error(
        `${what}: neither the old state (${old.slice(0, 5)}) nor the new (${fresh.slice(0, 5)}): ${error}`,
      );
    const coded = error === undefined || error instanceof Crash || error instanceof HaiveError;
    if (!coded) throw new Error(`${what}: threw ${String(error)}`);
    if (error === undefined && fresh.length > 0) throw new Error(`${what}: success was told, but the state is old`);
    return fresh.length === 0 ? 'fresh' : 'old';
  }

  private mustHold(model: Model, found: ReturnType<typeof view>, image: Image): void {
    const wanted = view(model);
    if (!isDeepStrictEqual(found, wanted))
      throw new Error(`after ${this}\nfound ${JSON.stringify(found)}\nmodel ${JSON.stringify(wanted)}`);
    const all = [...visible(image).values()].join('\n');
    for (const token of model.archived)
      if (!all.includes(token)) throw new Error(`after ${this}: the edit ${token} is lost`);
  }
}

const part = (min: number) => fc.double({ min, max: 1, maxExcluded: true, noNaN: true });

const where: fc.Arbitrary<Where> = fc.record({
  // Most operations of a change come before it is decided; the others are no less of interest.
  part: fc.oneof(part(0), part(0.7)),
  kind: fc.constantFrom('before', 'after', 'torn', 'ENOSPC', 'EIO', 'EACCES'),
  once: fc.boolean(),
});

/** Random operations on one HOME after another, with and without faults, each compared with the model. */
export async function checkRandomOperations(options: { seed: number; runs: number; length: number }): Promise<Counts> {
  const counts: Counts = { operations: 0, faults: 0, old: 0, fresh: 0 };
  const rig = await makeRig({ home: await memoryHome() });
  try {
    await ensureRoot(rig.machine);
    await storeAll(rig);
    await rig.write('.claude/settings.json', '{"model": "opus"}');
    const start = readHome(rig);
    const steps = fc.commands<State, Real, false>(
      [
        fc
          .tuple(operation, fc.array(where, { maxLength: 6 }))
          .map(([what, faults]) => new Step(what, faults) as fc.AsyncCommand<State, Real>),
      ],
      { maxCommands: options.length, size: 'max' },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (commands) => {
        restore(rig.home, readHome(rig), start);
        await fc.asyncModelRun(() => ({ model: { model: structuredClone(EMPTY) }, real: { rig, counts } }), commands);
      }),
      { seed: options.seed, numRuns: options.runs, endOnFailure: false },
    );
  } finally {
    await rig.close();
  }
  return counts;
}
