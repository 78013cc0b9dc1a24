import type { ClientContext } from '../context.ts';

/** What one look found, without its name. */
export interface Found {
  result: 'ok' | 'warn' | 'fail';
  message: string;
  /** What to do about it; empty when ok. */
  fix: string;
}

/** Looks, by stable name. What one throws is a failure with the error's hint. */
export type Looks = Record<string, (ctx: ClientContext) => Promise<Found>>;

export const ok = (message: string): Found => ({ result: 'ok', message, fix: '' });
export const warn = (message: string, fix: string): Found => ({ result: 'warn', message, fix });
export const fail = (message: string, fix: string): Found => ({ result: 'fail', message, fix });
