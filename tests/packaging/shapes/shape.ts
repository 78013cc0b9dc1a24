/**
 * Ways in which people write plugins, beside what Claude Code 2.1.330 says of each: `pass`, `fail`, or `never works` where it passes
 * and a session shows that the thing is dropped (tests/client/extra-errors.test.ts). A text stands for a file's content at the usual place.
 */
export type Shape = [
  what: string,
  verdict: 'pass' | 'fail' | 'never works',
  contents: Record<string, unknown> | string,
  executable?: string[],
];
