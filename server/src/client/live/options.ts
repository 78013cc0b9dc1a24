import type { HaiveError } from '../../domain/errors.ts';
import type { SyncProgress, SyncResult } from '../sync/index.ts';
import { BACKOFF } from './reconnect-delay.ts';

export interface LiveOptions {
  signal: AbortSignal;
  /** After every sync that this channel made. */
  onSync?: ((result: SyncResult) => void) | undefined;
  /** Of every sync, as each step begins. */
  onProgress?: ((progress: SyncProgress) => void) | undefined;
  /** Runs after each sync, before the next. */
  afterSync?: (() => Promise<void>) | undefined;
  /** What went wrong; the channel goes on. */
  onError?: ((error: HaiveError) => void) | undefined;
  /** When this process became the one that holds the channel, or is waiting for another that does. */
  onState?: ((state: 'waiting' | 'holding' | 'connected' | 'polling') => void) | undefined;
  /** Times in milliseconds, shortened by tests. */
  pace?: Partial<Pace> | undefined;
}

export interface Pace {
  /** Between tries to become the holder. */
  claim: number;
  /** Between looks whether the state file that the hook reads still says what is so. */
  live: number;
  heartbeat: number;
  backoffMin: number;
  backoffMax: number;
}

export const PACE: Pace = { claim: 30_000, live: 20_000, heartbeat: 30_000, ...BACKOFF };
