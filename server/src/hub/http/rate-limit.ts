import { HaiveError } from '../../domain/errors.ts';

/** More keys than this are not told apart for long: memory is bounded, and whoever makes so many gains nothing for any one of them. */
const MAX_KEYS = 100_000;

/** A token bucket for each key: `burst` at once, `perSecond` in the long run. */
export interface RateLimit {
  /** Seconds until the key has one to take, 0 when it has; takes none. */
  waitSeconds(key: string): number;
  /** Takes one; @throws HaiveError RATE_LIMITED (details.retry_after_s) when none is left. */
  take(key: string): void;
}

/** @param who what the key stands for, in the message: `this token` */
export function createRateLimit(
  { perSecond, burst }: { perSecond: number; burst: number },
  who: string,
  now: () => number,
): RateLimit {
  interface Bucket {
    left: number;
    at: number;
  }
  // A bucket that was not touched for as long as filling it takes is full: two generations forget it without a sweep.
  const fillMs = (burst / perSecond) * 1000;
  let young = new Map<string, Bucket>();
  let old = new Map<string, Bucket>();
  let turned = now();
  function bucketOf(key: string): Bucket {
    const at = now();
    // A clock that was set back counts from there.
    turned = Math.min(turned, at);
    if (at - turned >= fillMs || young.size >= MAX_KEYS) {
      old = at - turned >= 2 * fillMs ? new Map() : young;
      young = new Map();
      turned = at;
    }
    let bucket = young.get(key);
    if (bucket === undefined) {
      bucket = old.get(key) ?? { left: burst, at };
      young.set(key, bucket);
    }
    bucket.left = Math.min(burst, bucket.left + (Math.max(0, at - bucket.at) / 1000) * perSecond);
    bucket.at = at;
    return bucket;
  }
  const secondsFor = ({ left }: Bucket): number => Math.max(0, (1 - left) / perSecond);
  return {
    waitSeconds: (key) => secondsFor(bucketOf(key)),
    take(key) {
      const bucket = bucketOf(key);
      if (bucket.left < 1) throw limited(`Too many requests from ${who}`, secondsFor(bucket));
      bucket.left -= 1;
    },
  };
}

/** RATE_LIMITED with the time to wait, in whole seconds. */
export function limited(message: string, seconds: number): HaiveError {
  return new HaiveError('RATE_LIMITED', message, { details: { retry_after_s: Math.max(1, Math.ceil(seconds)) } });
}

/** Counts failures by key, and makes a key wait longer with each that comes after the free ones. */
export interface FailureLimit {
  /** Seconds the key must wait, 0 when it may go on. */
  waitSeconds(key: string): number;
  fail(key: string): void;
}

const LONGEST_WAIT_S = 300;

/**
 * @param perMinute failures that cost nothing, and how many are forgotten in a minute without one; each further one doubles the wait,
 * from a second to five minutes
 */
export function createFailureLimit(perMinute: number, now: () => number): FailureLimit {
  const known = new Map<string, { failures: number; until: number }>();
  return {
    waitSeconds(key) {
      const entry = known.get(key);
      // However the clock was set meanwhile, nobody waits longer than the longest wait.
      if (entry !== undefined) entry.until = Math.min(entry.until, now() + LONGEST_WAIT_S * 1000);
      return entry === undefined ? 0 : Math.max(0, Math.ceil((entry.until - now()) / 1000));
    },
    fail(key) {
      const at = now();
      const before = known.get(key) ?? { failures: 0, until: at };
      const forgotten = Math.floor((Math.max(0, at - before.until) / 60_000) * perMinute);
      const failures = Math.max(0, before.failures - forgotten) + 1;
      const over = failures - perMinute;
      const wait = over < 0 ? 0 : Math.min(LONGEST_WAIT_S, 2 ** over);
      // Put in anew, so that the first of the map is the one that failed longest ago.
      known.delete(key);
      known.set(key, { failures, until: at + wait * 1000 });
      if (known.size > MAX_KEYS) for (const oldest of known.keys()) return void known.delete(oldest);
    },
  };
}
