import { HaiveError } from '../../domain/errors.ts';
import { meantHint } from '../../domain/validate/suggest.ts';
import type { Receipt, Receipts } from '../../machine/receipts/index.ts';

/** NOT_INSTALLED, with the installed plugin that was probably meant. */
export function notInstalled(name: string, { plugins }: Receipts, more = ''): HaiveError {
  return new HaiveError('NOT_INSTALLED', `${name} is not installed here${more}`, meantHint(name, Object.keys(plugins)));
}

/** What is installed under a name that somebody typed. @throws HaiveError NOT_INSTALLED */
export function installedHere(receipts: Receipts, name: string): Receipt {
  const here = Object.hasOwn(receipts.plugins, name) ? receipts.plugins[name] : undefined;
  if (here === undefined) throw notInstalled(name, receipts);
  return here;
}
