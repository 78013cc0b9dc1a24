import { expect, it } from 'vitest';
import { linesWithRun } from './long-runs.ts';

const shown = (text: string, least = 5) => linesWithRun(text, least).map((line) => `${line.offset} ${line.text}`);

it('gives the lines with a run, whole and with their place', () => {
  expect(shown('ab cde\nx abcde y abcdef\nfghij')).toEqual(['7 x abcde y abcdef', '24 fghij']);
  expect(shown('é abcd+/=.-_ é\r\n')).toEqual(['0 é abcd+/=.-_ é\r']);
});
it('gives none where every run is too short', () => {
  expect(shown('abcd abcd\nabcd\nabcdéabcd abcd')).toEqual([]);
  expect(shown('')).toEqual([]);
});
it('finds a run wherever it begins', () => {
  for (let before = 0; before < 12; before++)
    expect(shown(`${' '.repeat(before)}abcde`)).toEqual([`0 ${' '.repeat(before)}abcde`]);
});
