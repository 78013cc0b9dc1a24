import { HaiveError } from '../domain/errors.ts';
import { meantHint } from '../domain/validate/suggest.ts';
import type { Receipts } from '../machine/receipts.ts';

/** NOT_INSTALLED, with the installed plugin that was probably meant. */
export function notInstalled(name: string, { plugins }: Receipts, more = ''): HaiveError {
  return new HaiveError('NOT_INSTALLED', `${name} is not installed here${more}`, meantHint(name, Object.keys(plugins)));
}
