/** One value at a time from a producer that waits to a generator that asks. */
export function handoff<T>() {
  let offered: { value: T; taken: () => void } | undefined;
  let wake: (() => void) | undefined;
  let end: { error?: unknown } | undefined;
  let abandoned = false;
  const poke = () => {
    wake?.();
    wake = undefined;
  };
  return {
    /** Waits until the value has been taken, or nobody asks any more: then it fails, which ends the producer. */
    put(value: T): Promise<void> {
      return new Promise((resolve, reject) => {
        const taken = () => (abandoned ? reject(new Error('nobody takes the values any more')) : resolve());
        if (abandoned) return taken();
        offered = { value, taken };
        poke();
      });
    },
    end: () => {
      end = {};
      poke();
    },
    fail: (error: unknown) => {
      end = { error };
      poke();
    },
    async *values(): AsyncGenerator<T> {
      let current: typeof offered;
      try {
        for (;;) {
          current = offered;
          offered = undefined;
          if (current !== undefined) {
            yield current.value;
            current.taken();
          } else if (end !== undefined) {
            if ('error' in end) throw end.error;
            return;
          } else {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          }
        }
      } finally {
        abandoned = true;
        current?.taken();
        offered?.taken();
      }
    },
  };
}
