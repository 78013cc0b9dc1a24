import { mayHideText } from './pre-filter.ts';
import type { Sighting, TextFile } from './text-file.ts';

const BIDI = /[\u202A-\u202E\u2066-\u2069]/gu;
/** Zero width space, word joiner and invisible operators, a byte order mark inside, Unicode tags (a way to hide text). */
const HIDDEN = /[\u200B\u2060-\u2064\u180E\u3164\uFFA0]|(?<!^)\uFEFF|[\u{E0001}\u{E0020}-\u{E007F}]/gu;
/** A flag of a region is a base and tags: emoji that people write. */
const FLAG = /\u{1F3F4}[\u{E0020}-\u{E007F}]{1,8}/gu;

/** Characters that make a text read otherwise than it looks; one finding a kind and file. */
export function findHiddenText(file: TextFile): Sighting[] {
  if (!mayHideText(file)) return [];
  const text = file.text.replace(FLAG, (flag) => ' '.repeat(flag.length));
  const found: Sighting[] = [];
  for (const [code, pattern, what] of [
    ['UNICODE_BIDI', BIDI, 'reverses the direction of text'],
    ['UNICODE_HIDDEN', HIDDEN, 'cannot be seen'],
  ] as const) {
    const all = [...text.matchAll(pattern)];
    const first = all[0];
    if (first === undefined) continue;
    const point = `U+${(first[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
    const more = all.length > 1 ? ` (and ${all.length - 1} more in this file)` : '';
    const message = `The character ${point} ${what}${more}.`;
    found.push({
      code,
      severity: 'warning',
      offset: first.index,
      message,
      fix: 'Remove it, or say in words what is meant.',
    });
  }
  return found;
}
