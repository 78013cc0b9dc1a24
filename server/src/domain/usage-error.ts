import { HaiveError } from './errors.ts';

/**
 * A command line that the parser refused, in our form.
 * @param refused what it says: `error: unknown option '--jsn'`, a guess in brackets on lines of its own
 * @param help the command that shows what there is, such as `hv list --help`
 * @returns USAGE with the guess as its hint, or the way to the help where there is none
 */
export function usageError(refused: string, help: string): HaiveError {
  const [first = '', ...more] = refused.split('\n');
  const guess = more.join(' ').trim();
  const hint = guess === '' ? `Run \`${help}\`.` : guess.replace(/^\(|\)$/g, '');
  return new HaiveError('USAGE', first.replace(/^error: /, ''), { hint });
}
