import type { LongRuns } from './long-runs.ts';
import { pieceFinder } from './pieces.ts';
import type { TextFile } from './text-file.ts';

/*
 * Cheap looks before the checks of the scan: each says no only where its check finds nothing.
 * tests/security/pre-filter.verify.ts runs the scan with them and without.
 */

/** The bytes of the characters that turn or hide text, and of few others. */
const HIDING =
  /\xE2(?:\x80[\x8B\xAA-\xAE]|\x81[\xA0-\xA9])|\xE1\xA0\x8E|\xE3\x85\xA4|\xEF(?:\xBB\xBF|\xBE\xA0)|\xF3\xA0/;

/** Whether a character may be among those that turn or hide text. */
export const mayHideText = ({ isAscii, raw }: TextFile): boolean => !isAscii && HIDING.test(raw);

/** What rules of secretlint's recommended preset, by the end of their id, cannot report without: in a long run… */
const IN_RUNS: Record<string, RegExp> = {
  npm: /npm_/,
  sendgrid: /SG\./,
  shopify: /shp(?:pa|ca|at|ss)_/,
  github: /gh[opsur]_|github_pat_/,
  openai: /T3BlbkFJ/,
  linear: /lin_api_/,
  '1password': /ops_ey/,
};
const ANY_IN_RUNS = new RegExp(
  Object.values(IN_RUNS)
    .map(({ source }) => source)
    .join('|'),
);

/** … or otherwise. The rule `gcp` looks into two kinds of files, and is told the kind of none. */
const ANYWHERE: Record<string, (file: TextFile, runs: LongRuns) => boolean> = {
  aws: ({ raw }, { longest }) =>
    longest >= 40 && /(?:SECRET|secret|Secret)_?(?:ACCESS|access|Access)_?(?:KEY|key|Key)/.test(raw),
  privatekey: ({ raw }) => raw.includes('PRIVATE KEY'),
  npm: ({ path, raw }) =>
    (/package(?:-lock)?\.json$/.test(path) && raw.includes('x-oauth-basic@github')) ||
    (path.endsWith('.npmrc') && raw.includes('_authToken=')),
  basicauth: ({ raw }) => holds(raw, '://', /[\w-]{1,256}:[\w-]{1,256}@/y),
  slack: ({ raw }, { text }) =>
    holds(raw, 'xox', /[abopr]-/y) || raw.includes('xapp-') || /hooks\.slack\.com/i.test(text),
};

/** Whether the literal is in the text, followed at once by what the sticky pattern matches. */
function holds(raw: string, literal: string, then: RegExp): boolean {
  for (let at = raw.indexOf(literal); at !== -1; at = raw.indexOf(literal, at + 1)) {
    then.lastIndex = at + literal.length;
    if (then.test(raw)) return true;
  }
  return false;
}

/**
 * The names of the rules of secretlint that may report something, and of what takes reports back where an author says so.
 * @param runs those of 15 characters or more
 */
export function rulesFor(file: TextFile, runs: LongRuns): string[] {
  const names = Object.keys(ANYWHERE).filter((name) => ANYWHERE[name]?.(file, runs));
  if (ANY_IN_RUNS.test(runs.text)) names.push(...Object.keys(IN_RUNS).filter((name) => IN_RUNS[name]?.test(runs.text)));
  return names.length > 0 && file.raw.includes('secretlint-') ? [...names, 'filter-comments'] : names;
}

const pieces = pieceFinder([
  ['gnor', 'sreg', 'orge', 'rrid', 'bypa'],
  ['user', 'huma'],
  ['ermi'],
  [' dan', 'jail', 'nres', 'free', '<sys', '/sys'],
]);

/** A number in which bit `i` is set where pattern `i` of the texts that set rules aside may match. */
export const overridesFor = ({ bytes }: TextFile): number => pieces(bytes);
