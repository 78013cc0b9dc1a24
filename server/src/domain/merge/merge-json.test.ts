import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeJson, plainJson } from './merge-json.ts';
import { mergeText } from './reconcile.ts';

const hooks = (groups: unknown): unknown => ({ hooks: { PostToolUse: groups } });
const command = (text: string, more: object = {}): object => ({ type: 'command', command: text, ...more });

describe('JSON that both sides changed', () => {
  it.each([
    [
      'one group of hooks, in two places',
      hooks([{ matcher: 'Bash', hooks: [command('check', { timeout: 10 })] }]),
      hooks([{ matcher: 'Bash', hooks: [command('check', { timeout: 30 })] }]),
      hooks([{ matcher: 'Bash|Edit', hooks: [command('check', { timeout: 10 }), command('log')] }]),
      hooks([{ matcher: 'Bash|Edit', hooks: [command('check', { timeout: 30 }), command('log')] }]),
    ],
    [
      'two groups told apart by their matchers',
      hooks([
        { matcher: 'A', hooks: [command('a')] },
        { matcher: 'B', hooks: [command('b')] },
      ]),
      hooks([
        { matcher: 'A', hooks: [command('mine')] },
        { matcher: 'B', hooks: [command('b')] },
      ]),
      hooks([
        { matcher: 'A', hooks: [command('a')] },
        { matcher: 'B', hooks: [command('b2')] },
        { matcher: 'C', hooks: [command('c')] },
      ]),
      hooks([
        { matcher: 'A', hooks: [command('mine')] },
        { matcher: 'B', hooks: [command('b2')] },
        { matcher: 'C', hooks: [command('c')] },
      ]),
    ],
    [
      'servers: one added, one changed, one taken away',
      { mcpServers: { a: { command: 'a' }, old: { command: 'old' } } },
      { mcpServers: { a: { command: 'a', env: { K: 'mine' } }, old: { command: 'old' } } },
      { mcpServers: { a: { command: 'a2' }, b: { command: 'b' } } },
      { mcpServers: { a: { command: 'a2', env: { K: 'mine' } }, b: { command: 'b' } } },
    ],
    [
      'a list of words keeps its order',
      ['-y', 'pkg'],
      ['-v', '-y', 'pkg'],
      ['-y', 'pkg', 'x'],
      ['-v', '-y', 'pkg', 'x'],
    ],
    ['a key that the user took out stays out', { a: 1, b: 2 }, { b: 2 }, { a: 1, b: 3 }, { b: 3 }],
  ])('%s', (_, base, disk, next, merged) => {
    expect(mergeJson(base, disk, next)).toEqual(merged);
  });

  it.each([
    ['one value, twice', { a: 1 }, { a: 2 }, { a: 3 }],
    ['a changed key that the new version drops', { a: { x: 1 } }, { a: { x: 2 } }, {}],
    ['the same words of a list', ['a'], ['b'], ['c']],
    ['elements without names', [{ x: 1 }, { x: 2 }], [{ x: 3 }, { x: 2 }], [{ x: 4 }, { x: 2 }]],
    ['a group and no group', { a: { x: 1 } }, { a: 'x' }, { a: { x: 2 } }],
  ])('collides: %s', (_, base, disk, next) => {
    expect(mergeJson(base, disk, next)).toBeUndefined();
  });

  it('loses nothing that only one side changed', () => {
    const value = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.integer({ min: 0, max: 3 }));
    fc.assert(
      fc.property(value, value, value, (base, disk, next) => {
        const merged = mergeJson(base, disk, next) as Record<string, number> | undefined;
        if (merged === undefined) return;
        for (const key of ['a', 'b', 'c', 'd']) {
          if (next[key] === base[key]) expect(merged[key]).toBe(disk[key]);
          if (disk[key] === base[key]) expect(merged[key]).toBe(next[key]);
        }
      }),
    );
  });
});

describe('the text of such a file', () => {
  const merge = (...sides: [string, string, string]): string | undefined =>
    mergeText('hooks.json', ...(sides.map((s) => Buffer.from(s)) as [Buffer, Buffer, Buffer]))?.toString();

  it('keeps its look where lines can be joined, and its indentation where they cannot', () => {
    const base = '{\n\t"a": 1,\n\t"b": 2,\n\t"c": [1, 2]\n}\n';
    expect(merge(base, base.replace('1,', '7,'), base.replace('[1, 2]', '[1, 2, 3]'))).toBe(
      '{\n\t"a": 7,\n\t"b": 2,\n\t"c": [1, 2, 3]\n}\n',
    );
    expect(merge('{"a":1,"b":2}\n', '{\n\t"a": 1,\n\t"b": 3\n}', '{"a":2,"b":2}\n')).toBe('{\n\t"a": 2,\n\t"b": 3\n}');
  });

  it('never holds a key twice because both added it at different lines', () => {
    const base = '{\n  "a": 1,\n  "b": 2,\n  "c": 3\n}\n';
    const disk = base.replace('{\n', '{\n  "n": 1,\n');
    expect(merge(base, disk, base.replace('"c": 3', '"c": 3,\n  "n": 2'))).toBeUndefined();
    expect(JSON.parse(merge(base, disk, base.replace('"c": 3', '"c": 3,\n  "m": 2')) ?? '')).toEqual({
      n: 1,
      a: 1,
      b: 2,
      c: 3,
      m: 2,
    });
  });

  it.each(['{"a":1,"a":2}', '{"a":12345678901234567890}', '// note\n{}', '{"a":1'])(
    '%s has no plain structure',
    (text) => {
      expect(plainJson(text)).toBeUndefined();
    },
  );
});
