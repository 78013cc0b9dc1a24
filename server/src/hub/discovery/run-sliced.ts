import { setImmediate } from 'node:timers/promises';

const SLICE_MS = 4;

/** Runs a generator to its end in slices of a few ms, so that requests are answered in between. */
export async function runSliced<T>(work: Generator<void, T>): Promise<T> {
  for (;;) {
    const until = performance.now() + SLICE_MS;
    do {
      const step = work.next();
      if (step.done === true) return step.value;
    } while (performance.now() < until);
    await setImmediate();
  }
}
