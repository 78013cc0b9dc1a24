import { formatError, type HaiveError } from '../../domain/errors.ts';

/** What a verb hands back: data for --json, text for people. Only this file's callers print. */
export interface VerbOutput {
  json: unknown;
  text: string;
  /** Exit status; 0 when absent. */
  exit?: number;
}

export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  red(text: string): string;
}

const wrap = (on: boolean, open: number, close: number) => (text: string) =>
  on && text !== '' ? `\u001b[${open}m${text}\u001b[${close}m` : text;

/** Colours where they are wanted, plain text elsewhere. */
export function styleFor(colour: boolean): Style {
  return {
    bold: wrap(colour, 1, 22),
    dim: wrap(colour, 2, 22),
    green: wrap(colour, 32, 39),
    yellow: wrap(colour, 33, 39),
    red: wrap(colour, 31, 39),
  };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the escape sequences themselves
const ESCAPES = /\u001b\[[0-9;]*m/g;
const width = (text: string): number => [...text.replace(ESCAPES, '')].length;

/** Text of others (descriptions, names) must not steer the terminal. */
export function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]+/g, ' ').trim();
}

/** A whole text for the terminal: line breaks, tabs and colours stay, every other control character goes. */
export function harmless(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  return text.replace(/(\u001b\[[0-9;]*m)|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '$1');
}

/** Columns aligned with two spaces between; the last column is not padded. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], style: Style): string {
  const all = [head, ...rows];
  const widths = head.map((_, i) => Math.max(...all.map((row) => width(row[i] ?? ''))));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat((widths[i] ?? 0) - width(cell))))
      .join('  ')
      .trimEnd();
  return [style.dim(line(head)), ...rows.map(line)].join('\n');
}

export function shorten(text: string, most: number): string {
  const plain = clean(text);
  return [...plain].length <= most ? plain : `${[...plain].slice(0, most - 1).join('')}…`;
}

/** Warnings for people, one a line. */
export const warnings = (list: readonly string[], style: Style): string[] =>
  list.map((text) => style.yellow(`! ${clean(text)}`));

/** The two forms of an error. */
export function errorOutput(error: HaiveError, json: boolean): { stdout: string; stderr: string } {
  if (!json) return { stdout: '', stderr: `${harmless(formatError(error))}\n` };
  const { code, message, hint, details } = error;
  const body = { error: { code, message, hint, ...(details === undefined ? {} : { details }) } };
  return { stdout: `${JSON.stringify(body, null, 2)}\n`, stderr: '' };
}
