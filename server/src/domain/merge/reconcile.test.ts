import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeText, reconcileFile } from './reconcile.ts';

describe('one file of an update against what lies on disk', () => {
  it.each([
    ['untouched', 'a', 'a', 'b', 'take-next'],
    ['untouched and dropped', 'a', 'a', null, 'take-next'],
    ['edited as the new version is', 'a', 'b', 'b', 'take-next'],
    ['new', null, null, 'b', 'take-next'],
    ['edited, not in the update', 'a', 'x', 'a', 'keep-disk'],
    ['deleted, not in the update', 'a', null, 'a', 'keep-disk'],
    ['deleted, changed by the update', 'a', null, 'b', 'take-next'],
    ['edited, dropped by the update', 'a', 'x', null, 'keep-disk'],
    ['edited on both sides', 'a', 'x', 'b', 'merge'],
    ['added on both sides', null, 'x', 'b', 'conflict'],
  ] as const)('%s', (_, base, disk, next, decision) => {
    expect(reconcileFile({ base, disk, next })).toBe(decision);
  });

  it('is never replaced where only the user changed it', () => {
    const side = fc.constantFrom('a', 'b', 'c', null);
    fc.assert(
      fc.property(side, side, side, (base, disk, next) => {
        const lost = disk !== null && disk !== base && disk !== next;
        if (lost) expect(reconcileFile({ base, disk, next })).not.toBe('take-next');
      }),
    );
  });
});

describe('a three-way merge', () => {
  const merge = (path: string, ...sides: [string, string, string]): string | undefined =>
    mergeText(path, ...(sides.map((s) => Buffer.from(s)) as [Buffer, Buffer, Buffer]))?.toString();

  it('joins changes of different lines, keeps line ends and a missing last one', () => {
    expect(merge('x.md', 'a\r\nb\r\nc\r\nd', 'A\r\nb\r\nc\r\nd', 'a\r\nb\r\nc\r\nD')).toBe('A\r\nb\r\nc\r\nD');
    expect(merge('x.md', 'a\nb\nc\n', 'a\nX\nc\n', 'a\nX\nc\n')).toBe('a\nX\nc\n');
  });

  it('refuses the same line twice and what is not text, and joins JSON line by line', () => {
    expect(merge('x.md', 'a\n', 'b\n', 'c\n')).toBeUndefined();
    expect(merge('x.md', 'a\0\n', 'a\0\nb\n', 'c\na\0\n')).toBeUndefined();
    expect(mergeText('x.md', Buffer.from([0xff]), Buffer.from('a'), Buffer.from('b'))).toBeNull();
    const base = '{\n"a": 1,\n"b": 2,\n"c": 3\n}\n';
    expect(merge('x.json', base, base.replace('1', '9'), base.replace('3', '8'))).toBe(
      '{\n"a": 9,\n"b": 2,\n"c": 8\n}\n',
    );
    // Different blocks of one file.
    const nested = ['{"k":', '{', '"a": 1', '}', ',"l":', '[', ']', '}', ''];
    const [disk, next] = [[...nested], [...nested]];
    disk.splice(1, 3, '[', ']');
    next.splice(5, 2, '{', '}');
    expect(merge('x.json', nested.join('\n'), disk.join('\n'), next.join('\n'))).toBe(
      ['{"k":', '[', ']', ',"l":', '{', '}', '}', ''].join('\n'),
    );
  });

  it('with one side untouched gives the other', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c', '')).map((lines) => lines.join('\n'));
    fc.assert(
      fc.property(text, text, (base, other) => {
        expect(merge('x', base, base, other)).toBe(other);
        expect(merge('x', base, other, base)).toBe(other);
      }),
    );
  });
});
