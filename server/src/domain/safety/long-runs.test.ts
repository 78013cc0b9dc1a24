import { expect, it } from 'vitest';
import { longRuns } from './long-runs.ts';

const runs = (text: string, least = 15) => {
  const bytes = Buffer.from(text);
  return longRuns({ bytes, raw: bytes.toString('latin1') }, least);
};
const run = 'abcdefghij+/=.-_';

it('gives the runs with what stands before them, and their lines with their place in bytes', () => {
  const { longest, text, linesWith } = runs(`ab cde\nkey: "${run}" ${run}q\n${'f'.repeat(20)}`);
  expect(longest).toBe(20);
  expect(text).toContain(`key: "${run}\n`);
  expect(text).toMatch(/q\n[\s\S]*f{20}$/);
  expect(linesWith(/./)).toEqual([
    { offset: 7, text: `key: "${run}" ${run}q` },
    { offset: 49, text: 'f'.repeat(20) },
  ]);
  expect(runs(`é ${run} é\r\n`).linesWith(/./)).toEqual([
    { offset: 0, text: Buffer.from(`é ${run} é\r`).toString('latin1') },
  ]);
});
it('gives the lines of those runs alone that are asked for', () => {
  const { linesWith } = runs(`a: ${run}x\n${run}y ${run}x\n\n${' '.repeat(16)}= ${run}`);
  expect(linesWith(/_x/).map((line) => line.offset)).toEqual([0, 21]);
  expect(linesWith(/= a/).map((line) => line.offset)).toEqual([58]);
  expect(linesWith(/z/)).toEqual([]);
});
it('gives none where every run is too short', () => {
  for (const text of [
    '',
    'abc',
    `${'a'.repeat(14)} ${'b'.repeat(14)}\n${'c'.repeat(14)}`,
    `${'a'.repeat(14)}é${'b'.repeat(14)}`,
  ])
    expect(runs(text)).toMatchObject({ longest: 0, text: '' });
  expect(runs(run, 17).linesWith(/./)).toEqual([]);
});
it('finds a run wherever it begins and whatever ends it', () => {
  for (let before = 0; before < 24; before++)
    for (const end of ' ,:é\0~\n*')
      expect(runs(`${end.repeat(before)}${'a'.repeat(15)}${end}b`)).toMatchObject({ longest: 15 });
});
