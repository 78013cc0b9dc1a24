import { expect, it } from 'vitest';
import { pieceFinder } from './pieces.ts';

const find = pieceFinder([['abcd', ' xyz'], ['bcde'], ['<a-b']]);
const found = (text: string) => find(Buffer.from(text));

it('says which groups have a piece in the text', () => {
  expect(found('')).toBe(0);
  expect(found('abc')).toBe(0);
  expect(found('abcd')).toBe(0b001);
  expect(found('..ABCDE.')).toBe(0b011);
  expect(found('xyz <A-b abc-d')).toBe(0b100);
});
it('takes all white space, and what may be, for a space', () => {
  for (const space of ' \t\r\n\v\u00A0\u3000é') expect(found(`.${space}xyz`)).toBe(0b001);
  for (const other of '._-a\0') expect(found(`.${other}xyz`)).toBe(0);
});
it('finds a piece wherever it begins', () => {
  for (let before = 0; before < 12; before++)
    for (const other of ['a', 'b', 'ab', 'abc', ' x', 'q']) expect(found(`${other.repeat(before)}abcd q`) & 1).toBe(1);
});
