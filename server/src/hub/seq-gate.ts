import type { Stamp } from '../storage/store.ts';

/**
 * Shares one read of the database's counters among all requests that arrived before it began, so that what is cached in
 * memory (who a token is, a plan's etag) can be checked against the database on every request at little cost.
 */
export interface SeqGate {
  /** A stamp read after this call was made; equal stamps mean that nothing cached has changed. */
  current(): Promise<Stamp>;
}

export function createSeqGate(read: () => Promise<Stamp>): SeqGate {
  let running: Promise<unknown> | undefined;
  let next: Promise<Stamp> | undefined;
  return {
    current() {
      next ??= (running ?? new Promise((done) => setImmediate(done))).then(() => {
        const mine = read();
        next = undefined;
        running = mine.then(done, done);
        return mine;
      });
      return next;
    },
  };

  function done(): void {
    running = undefined;
  }
}
