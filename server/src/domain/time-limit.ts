/**
 * A signal that rings after `ms`, or with `other`.
 * @param ms milliseconds
 */
export function timeLimit(ms: number, other?: AbortSignal): AbortSignal {
  const limit = AbortSignal.timeout(ms);
  // `any` holds what it is made of weakly, and a limit that was collected never rings: only one that is listened to is kept.
  limit.addEventListener('abort', () => undefined, { once: true });
  return other === undefined ? limit : AbortSignal.any([limit, other]);
}
