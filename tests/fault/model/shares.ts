import * as fc from 'fast-check';
import { type Operation, operation } from './operations.ts';

export const WORKERS = 8;
export const SHARE = 50;

/** What one of the processes does, the same whenever it is asked. */
export function operationsOf(seed: number, worker: number): Operation[] {
  return fc.sample(operation, { seed: seed + worker, numRuns: SHARE });
}
