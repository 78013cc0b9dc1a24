import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HaiveError } from './errors.ts';
import { checkPath, checkPathSet } from './safe-path.ts';

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return error instanceof HaiveError ? error.code : `not ours: ${error}`;
  }
  return 'ok';
};

describe('checkPath', () => {
  it.each([
    'a',
    '.mcp.json',
    'a/b c/ü.md',
    '日本/x',
    '⚠️.md',
    '.gitignore',
    'console.md',
    'a'.repeat(255),
    `${'d/'.repeat(31)}f`,
  ])('accepts %j', (path) => {
    expect(checkPath(path)).toBe(path);
  });
  it('answers in NFC', () => {
    expect(checkPath('u\u0308/e\u0301.md')).toBe('ü/é.md');
  });
  it.each([
    ...[
      '',
      '/a',
      '//a',
      'C:/x',
      'c:x',
      '..',
      '../x',
      'a/../b',
      'a/..',
      '.',
      './a',
      'a/./b',
      'a//b',
      'a/',
      'a\\b',
      '\\\\h\\s',
    ],
    ...[
      'a\0b',
      'a\nb',
      'a\u007f',
      'a\u200bb',
      'a\u202eb',
      'a\u2066',
      'a\ufeffb',
      'a\u00adb',
      'a\u2028',
      '\ud800',
      'a\u3164b',
    ],
    ...[
      'a.',
      'a ',
      'a./b',
      'a /b',
      'CON',
      'con.txt',
      'x/nul',
      'aux.md',
      'COM1',
      'lpt1.x',
      'com¹',
      'nul .txt',
      'CONIN$',
    ],
    ...['a:b', 'a<b', 'a>b', 'a"b', 'a|b', 'a?b', 'a*b', '.git/config', 'x/.GIT/hooks', 'git~1/x', '.git'],
    ...['a'.repeat(256), 'é'.repeat(128), 'ab/'.repeat(400).concat('x'), `${'d/'.repeat(32)}f`],
  ])('refuses %j', (path) => {
    expect(codeOf(() => checkPath(path))).toBe('PATH_UNSAFE');
  });
  it('says only safe characters in its message', () => {
    expect(() => checkPath('a\u202eb')).toThrow(/"a\?b"/);
  });
  it('is idempotent and never answers a path that leaves its folder', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        let path: string;
        try {
          path = checkPath(text);
        } catch (error) {
          return error instanceof HaiveError;
        }
        return checkPath(path) === path && !path.split('/').includes('..') && !path.startsWith('/');
      }),
    );
  });
});

describe('checkPathSet', () => {
  it('accepts paths that stay apart', () => {
    expect(codeOf(() => checkPathSet(['a/b', 'a/c', 'ab', 'a.md']))).toBe('ok');
  });
  it.each([
    [['a', 'a']],
    [['A.md', 'a.md']],
    [['é', 'e\u0301']],
    [['x/a', 'X/b']],
    [['a', 'a/b']],
    [['A', 'a/b']],
    [['a/b', 'a']],
    [['straße', 'STRASSE']],
  ])('refuses %j', (paths) => {
    expect(codeOf(() => checkPathSet(paths))).toBe('PATH_COLLISION');
  });
});
