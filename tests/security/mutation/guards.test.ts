import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GUARDS } from './guards/index.ts';

const root = join(import.meta.dirname, '../../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

// The list must not rot: whoever changes a check changes its row, and sees by `mutate.mjs` that a test still notices.
describe('the list of checks', () => {
  it('is long, and names none twice', () => {
    expect(GUARDS.length).toBeGreaterThanOrEqual(260);
    const names = GUARDS.map((g) => `${g.file}: ${g.check}`);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });

  it('names texts that stand exactly once in the sources, and change when they are taken out', () => {
    const found = GUARDS.map(({ file, check, find, put }) => {
      const times = read(`server/src/${file}`).split(find).length - 1;
      return find === put || times !== 1 ? `${file}: ${check}: ${times} times` : '';
    });
    expect(found.filter((line) => line !== '')).toEqual([]);
  });

  it('names tests that exist', () => {
    for (const test of new Set(GUARDS.flatMap((g) => g.tests))) expect(read(test)).toContain('expect(');
  });
});
