import { longRuns } from './long-runs.ts';
import { bySecretlint } from './secretlint.ts';
import { offsetInText, type Sighting, type TextFile } from './text-file.ts';

/**
 * Secrets: secretlint's recommended rules, the shapes that Claude Code itself calls a literal credential, and values of
 * high entropy that are called a secret by their key.
 */

/** As in Claude Code's own validator. */
const SHAPES = [
  /\bsk-[A-Za-z0-9_-]{16,200}/g,
  /\bgh[opsur]_[A-Za-z0-9]{30,255}/g,
  /\bgithub_pat_[A-Za-z0-9_]{30,255}/g,
  /\bxox[abeprs]-[A-Za-z0-9-]{10,255}/g,
  /\bAKIA[0-9A-Z]{16}\b/g,
  /\bglpat-[A-Za-z0-9_-]{20,255}/g,
  /\bAIza[0-9A-Za-z_-]{35}\b/g,
  /\beyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{1,2000}/g,
];
const ANY_SHAPE = new RegExp(SHAPES.map(({ source }) => source).join('|'));
const PLACEHOLDER = /your[-_ ]|replace|example|changeme|placeholder|dummy|redacted|xxx|[<>]|\*\*\*|\$\{|not-a-real/i;
const NAME = /authorization|api[-_]?key|secret|token|passw(?:or)?d|credential/i;
const NAMED =
  /(?<![A-Za-z0-9])[\w.-]{0,40}(?:authorization|api[-_]?key|secret|token|passw(?:or)?d|credential)[\w-]{0,40}["']?[ \t]{0,4}[:=][ \t]{0,4}["']?(?:(?:Bearer|Basic|Token|Bot) )?([A-Za-z0-9+/_=.-]{20,200})(?![A-Za-z0-9+/_=.-])/gi;
/** What stands between a name and a value, and that; one that begins with slashes is the rest of an address. */
const GIVEN = /[:=][ \t]{0,4}["']?(?:(?:Bearer|Basic|Token|Bot) )?(?!\/\/)[A-Za-z0-9+/_=.-]{20}/i;
/** No shape and no named value has fewer characters in a row, and none goes over the end of a line. */
const SHORTEST = 15;
const MAX_PER_FILE = 20;
const FIX =
  'Whoever gets the plugin reads it: take it out, revoke it, and use a sensitive userConfig option. A line with haivemind:allow is let pass.';

const sighting = (offset: number, what: string): Sighting => ({
  code: 'SECRET_FOUND',
  severity: 'warning',
  offset,
  message: `This looks like ${what}.`,
  fix: FIX,
});

/** Every secret that is likely, at most one an offset. */
export async function findSecrets(file: TextFile): Promise<Sighting[]> {
  const found = new Map<number, Sighting>();
  const take = (offset: number, length: number, what: string) => {
    if (found.size >= MAX_PER_FILE) return;
    for (const [at] of found) if (Math.abs(at - offset) < length) return;
    if (!PLACEHOLDER.test(file.text.slice(offset, offset + Math.min(length, 2000))))
      found.set(offset, sighting(offset, what));
  };
  const runs = longRuns(file, SHORTEST);
  for (const { start, length, rule } of await bySecretlint(file, runs)) take(start, length, `a secret (${rule})`);
  const shaped = runs.linesWith(ANY_SHAPE);
  for (const shape of SHAPES)
    for (const line of shaped)
      for (const match of line.text.matchAll(shape))
        take(offsetInText(file, line.offset + match.index), match[0].length, 'a literal credential');
  for (const line of runs.linesWith(GIVEN)) {
    for (const match of NAME.test(line.text) ? line.text.matchAll(NAMED) : []) {
      const value = match[1] ?? '';
      const at = line.offset + match.index + match[0].lastIndexOf(value);
      if (entropy(value) >= 3.5 && /\d/.test(value) && /[A-Za-z]/.test(value) && !isHash(match[0], value))
        take(offsetInText(file, at), value.length, 'a secret by its name and randomness');
    }
  }
  return [...found.values()];
}

/** A checksum beside a name such as `token_sha256` is no secret, nor is a path or a dotted identifier. */
function isHash(all: string, value: string): boolean {
  return (
    /sha\d|md5|digest|checksum|hash/i.test(all) || /^[a-z]+([._-][a-z0-9]+)+$/i.test(value) || value.includes('//')
  );
}

/** Shannon entropy in bits a character. */
function entropy(value: string): number {
  const counts = new Map<string, number>();
  for (const c of value) counts.set(c, (counts.get(c) ?? 0) + 1);
  let sum = 0;
  for (const n of counts.values()) sum -= (n / value.length) * Math.log2(n / value.length);
  return sum;
}
