import type { TextFile } from './text-file.ts';

/** Characters of which keys, tokens and checksums are made: all at or above '+', none above ASCII. */
const IN_RUN = new Uint8Array(256);
for (const c of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_=.-') IN_RUN[c.charCodeAt(0)] = 1;
const FOUR_PLUSES = 0x2b2b2b2b;
const HIGH_BITS = 0x80808080 | 0;
/** Enough for what stands between a name and its value: `: "Bearer `. */
const LEAD = 16;

/** A run of [A-Za-z0-9+/_=.-], in bytes from the start of the file. */
interface Run {
  start: number;
  end: number;
}

/** A line of a file, without its end and one character a byte, and the byte at which it begins. */
export interface Line {
  offset: number;
  text: string;
}

export interface LongRuns {
  /** Characters in the longest; 0 where there is none. */
  longest: number;
  /** All, one after the other, each with what stands before it. */
  text: string;
  /** The lines of those runs in which, or in what stands before them, the pattern (without anchors) matches; each line once. */
  linesWith(pattern: RegExp): Line[];
}

/**
 * The runs of at least `least` characters (15 or more) that are as long as can be. Prose has none, and patterns that need one
 * are tried on what is here alone.
 */
export function longRuns({ bytes, raw }: Pick<TextFile, 'bytes' | 'raw'>, least: number): LongRuns {
  const runs = runsOf(bytes, least);
  const withLead = ({ start, end }: Run): string => raw.slice(Math.max(start - LEAD, 0), end);
  const text = runs.map(withLead).join('\n');
  return {
    longest: runs.reduce((longest, { start, end }) => Math.max(longest, end - start), 0),
    text,
    linesWith: (pattern) => {
      if (!pattern.test(text)) return [];
      return linesOf(
        raw,
        runs.filter((run) => pattern.test(withLead(run))),
      );
    },
  };
}

function runsOf(bytes: Buffer, least: number): Run[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const isIn = (at: number): boolean => IN_RUN[bytes[at] ?? 0] === 1;
  const runs: Run[] = [];
  // 15 bytes in a row hold eight that begin at a multiple of eight
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    const a = view.getInt32(at);
    const b = view.getInt32(at + 4);
    // a high bit is left where a byte lies below '+', as a space does, or above ASCII
    if ((((a - FOUR_PLUSES) | a | (b - FOUR_PLUSES) | b) & HIGH_BITS) !== 0) continue;
    let start = at + 8;
    while (start > 0 && isIn(start - 1)) start -= 1;
    if (start > at) continue;
    let end = at + 8;
    while (end < bytes.length && isIn(end)) end += 1;
    if (end - start >= least) runs.push({ start, end });
    at = end - (end % 8);
  }
  return runs;
}

function linesOf(raw: string, runs: readonly Run[]): Line[] {
  const lines: Line[] = [];
  let done = -1;
  for (const { start, end } of runs) {
    if (start < done) continue;
    const offset = raw.lastIndexOf('\n', start) + 1;
    const next = raw.indexOf('\n', end);
    done = next === -1 ? raw.length : next;
    lines.push({ offset, text: raw.slice(offset, done) });
  }
  return lines;
}
