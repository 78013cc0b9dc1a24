import { inRange } from '../desired/resolve.ts';
import { HaiveError } from '../errors.ts';
import type { PluginRef } from '../names.ts';

/**
 * Whoever names a version means that one: what is there in another is not what was asked for.
 * @param there the installed version; undefined where none is
 * @param where the end of a sentence: `here`, `on web1`
 * @throws HaiveError ID_MISMATCH
 */
export function requireNamed({ name, range }: PluginRef, there: string | undefined, where: string): void {
  if (range === null || there === undefined || inRange(there, range)) return;
  throw new HaiveError('ID_MISMATCH', `${name} ${there} is installed ${where}, not ${range}`, {
    hint: `Name it without a version (${name}) to mean whichever is there.`,
  });
}
