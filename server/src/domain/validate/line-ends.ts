import type { Subject } from './subject.ts';

const LONGEST = 256;

/** Scripts whose first line ends as Windows ends lines: other systems look for an interpreter with that in its name. */
export function checkLineEnds(subject: Subject): void {
  for (const [path, { bytes }] of subject.files) {
    if (bytes[0] !== 0x23 || bytes[1] !== 0x21) continue;
    const start = bytes.subarray(0, LONGEST);
    const end = start.indexOf('\n');
    if (end === -1 || start[end - 1] !== 0x0d) continue;
    const message = 'The lines end as on Windows (CRLF): Linux and macOS do not run such a script.';
    subject.warn('SCRIPT_LINE_ENDS', path, { offset: 0 }, message, 'Save it with LF, or run `hv validate --fix`.');
  }
}
