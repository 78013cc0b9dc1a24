import type { Machine } from '../../machine/machine.ts';
import { type Trust, updateTrust, withPinsOf } from '../trust/publisher-keys.ts';

/** What this machine trusts, written down as it grows while the rest still arrives. */
export interface Keys {
  trust: Trust;
  /** @throws HaiveError of files */
  settled(): Promise<void>;
}

export function keptKeys(m: Machine, known: Trust): Keys {
  let [trust, written] = [known, known];
  let writing: Promise<unknown> | undefined;
  const write = (next: Trust): Promise<void> => updateTrust(m, (now) => withPinsOf(now, known, next));
  return {
    get trust() {
      return trust;
    },
    set trust(next: Trust) {
      trust = next;
      if (next === written || writing !== undefined) return;
      written = next;
      // What went wrong is told in the end; then it is written again.
      writing = write(next).catch(() => {
        written = known;
      });
    },
    async settled() {
      await writing;
      if (trust !== written) await write(trust);
    },
  };
}
