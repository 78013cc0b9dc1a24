/**
 * Runs a job every `everyMs` milliseconds, one run after the other; what a run throws goes to `onError` and the next run comes.
 * @returns what ends it, once a run that has begun is done
 */
export function repeat(
  everyMs: number,
  job: () => Promise<void>,
  onError: (error: unknown) => void,
): () => Promise<void> {
  let running: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    running = running.then(job).catch(onError);
  }, everyMs);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await running;
  };
}
