import type { Patience } from './options.ts';

export interface Deadline {
  /** Aborted when the time is up, or the caller of the sync gives up. */
  signal: AbortSignal;
  /** What a transfer brought buys time: a large plugin over a slow line is no reason to stop. @param bytes that are new */
  arrived(bytes: number): void;
  end(): void;
}

/** The time that one sync may take. @param other also ends it */
export function startDeadline({ all, bytesPerSecond }: Patience, other?: AbortSignal): Deadline {
  const over = new AbortController();
  let until = performance.now() + all;
  const ring = (): void => {
    const left = until - performance.now();
    if (left > 0) timer = setTimeout(ring, Math.ceil(left));
    else over.abort();
  };
  let timer = setTimeout(ring, all);
  return {
    signal: other === undefined ? over.signal : AbortSignal.any([over.signal, other]),
    arrived: (bytes) => {
      until += (bytes / bytesPerSecond) * 1000;
    },
    end: () => clearTimeout(timer),
  };
}
