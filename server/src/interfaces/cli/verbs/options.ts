import type { PublishProgress } from '../../../client/publish/index.ts';
import type { SyncProgress } from '../../../client/sync/index.ts';
import { HaiveError } from '../../../domain/errors.ts';
import type { VerbCall } from '../verb.ts';

/** `a,b` as a list; undefined when the option was not given. @throws HaiveError USAGE when it is empty */
export function listOption(value: unknown, name: string): string[] | undefined {
  if (value === undefined) return undefined;
  const items = String(value)
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
  if (items.length === 0) throw new HaiveError('USAGE', `--${name} wants a,b`);
  return items;
}

/** @throws HaiveError USAGE when it is no whole number from `least` on */
export function countOption(value: unknown, name: string, least: 0 | 1 = 1): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d+$/.test(String(value)) || Number(value) < least) {
    const from = least === 0 ? '0 or a whole number above it' : 'a whole number above 0';
    throw new HaiveError('USAGE', `--${name} wants ${from}, not ${String(value)}`);
  }
  return Number(value);
}

/** @throws HaiveError USAGE when it is none of `choices` */
export function choiceOption<T extends string>(value: unknown, name: string, choices: readonly T[]): T | undefined {
  if (value === undefined) return undefined;
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw new HaiveError('USAGE', `--${name} wants ${choices.join(', ')}, not ${String(value)}`);
}

/** The moment so many units from now, ISO-8601. @param hours of one unit */
export function laterOption(value: unknown, name: string, hours: number): string | undefined {
  const count = countOption(value, name);
  return count === undefined ? undefined : new Date(Date.now() + count * hours * 3600_000).toISOString();
}

/** @throws HaiveError USAGE when the argument is missing */
export function argument(call: VerbCall, index: number, name: string): string {
  const value = call.args[index];
  if (value === undefined || value === '') throw new HaiveError('USAGE', `A ${name} is missing`);
  return value;
}

const kib = (bytes: number): string =>
  bytes < 1024 * 1024 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;

/** Shows a sync's steps on a terminal. */
export const syncProgress =
  (call: VerbCall) =>
  ({ step, names, bytes }: SyncProgress): void => {
    const what = names === undefined ? '' : ` ${names.slice(0, 3).join(', ')}${names.length > 3 ? ' …' : ''}`;
    if (step === 'plan') call.progress('asking the hub …');
    else if (step === 'fetch') call.progress(`fetching${what} ${bytes ? kib(bytes) : ''}`);
    else if (step === 'apply') call.progress(`installing${what}`);
    else call.progress('reporting …');
  };

/** Shows a publication's steps on a terminal. */
export const publishProgress =
  (call: VerbCall) =>
  ({ step, sent, total }: PublishProgress): void => {
    if (step === 'read') call.progress('reading and checking …');
    else if (step === 'send') call.progress(`sending ${kib(sent ?? 0)} of ${kib(total ?? 0)}`);
    else call.progress('publishing …');
  };
