import { describe, expect, it } from 'vitest';
import { HaiveError } from './errors.ts';
import {
  checkGroupName,
  checkPluginName,
  checkRange,
  checkVersion,
  nameMatches,
  parsePluginRef,
  patternsMeet,
} from './names.ts';

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return error instanceof HaiveError ? error.code : `not ours: ${error}`;
  }
  return 'ok';
};

describe('plugin names', () => {
  it.each([
    'a',
    'devops-essentials',
    'a_b',
    'a.b',
    '0x',
    'x'.repeat(64),
    'con-air',
    'my-claude',
    'claudex',
    'cc-plugins',
  ])('accepts %s', (name) => {
    expect(codeOf(() => checkPluginName(name))).toBe('ok');
  });
  it.each(['', 'A', 'a b', '-a', '.a', '_a', 'a/b', 'a\\b', 'a..b', 'a.', 'é', 'x'.repeat(65), 'a\n', 'a@b', '../x'])(
    'refuses %j as invalid',
    (name) => {
      expect(codeOf(() => checkPluginName(name))).toBe('NAME_INVALID');
    },
  );
  it.each([
    ...['cache', 'data', 'marketplaces', 'store', 'repos', '.haivemind', 'installed_plugins.json', 'config.json'],
    ...['con', 'nul', 'nul.txt', 'com1', 'lpt9.x', 'aux'],
    ...['claude', 'claude-code', 'anthropic', 'anthropic-x', 'cc-plugin-x', 'official-claude'],
    ...['claudecode', 'claude_x', 'clau-de', 'anthropic.x', 'cc_plugin_x', 'off-icialclaude'],
  ])('refuses %s as reserved', (name) => {
    expect(codeOf(() => checkPluginName(name))).toBe('NAME_RESERVED');
  });
});

describe('versions and ranges', () => {
  it.each(['0.0.1', '1.2.3', '1.2.3-beta.1', '10.20.30-rc.1.x'])('accepts %s', (v) => {
    expect(codeOf(() => checkVersion(v))).toBe('ok');
  });
  it.each([
    '',
    '1',
    '1.2',
    'v1.2.3',
    '=1.2.3',
    ' 1.2.3',
    '1.2.3 ',
    '01.2.3',
    '1.2.3+build',
    'latest',
    '1.2.3-',
    '1.2.x',
  ])('refuses %j', (v) => {
    expect(codeOf(() => checkVersion(v))).toBe('VERSION_INVALID');
  });
  it('knows ranges', () => {
    for (const range of ['^1.0.0', '>=1 <3', '*', '1.2.3', '1.x || 3'])
      expect(codeOf(() => checkRange(range))).toBe('ok');
    for (const range of ['', ' ', 'nope', '^', '1.0.0 &']) {
      expect(
        codeOf(() => checkRange(range)),
        range,
      ).toBe('VERSION_INVALID');
    }
  });
  it('knows groups', () => {
    for (const name of ['orchestrators', 'dev_environments', 'Lance.Dev-1'])
      expect(codeOf(() => checkGroupName(name))).toBe('ok');
    for (const name of ['', '*', 'all', 'a,b', 'a b', '-x', 'x'.repeat(65)]) {
      expect(
        codeOf(() => checkGroupName(name)),
        name,
      ).toBe('NAME_INVALID');
    }
  });
});

describe('patterns', () => {
  it.each([
    ['*', 'anything', true],
    ['team-*', 'team-a', true],
    ['team-*', 'team-', true],
    ['team-*', 'steam-a', false],
    ['*-ops', 'es-ops', true],
    ['a*b*c', 'aXbYc', true],
    ['a*b*c', 'acb', false],
    ['ab*ba', 'aba', false],
    ['exact', 'exact', true],
    ['exact', 'exacts', false],
    ['a.c', 'abc', false],
  ])('%s on %s is %s', (pattern, name, expected) => {
    expect(nameMatches(pattern, name)).toBe(expected);
  });
  it('does not slow down on many stars', () => {
    expect(nameMatches('*a'.repeat(200), 'a'.repeat(5000).concat('b'))).toBe(false);
  });
});

describe('references', () => {
  it('reads names, ranges and ids', () => {
    expect(parsePluginRef('x')).toEqual({ name: 'x', range: null });
    expect(parsePluginRef('x@^1.0.0')).toEqual({ name: 'x', range: '^1.0.0' });
    expect(parsePluginRef('x@latest')).toEqual({ name: 'x', range: null });
    expect(parsePluginRef('plugin_a_b_1.2.0')).toEqual({ name: 'a_b', range: '1.2.0', id: 'plugin_a_b_1.2.0' });
    expect(parsePluginRef('plugin_kit')).toEqual({ name: 'plugin_kit', range: null });
  });
  it.each([
    ['X', 'NAME_INVALID'],
    ['@1.0.0', 'NAME_INVALID'],
    ['x@', 'VERSION_INVALID'],
    ['x@nope', 'VERSION_INVALID'],
    ['plugin_../x_1.0.0', 'NAME_INVALID'],
    ['plugin_cache_1.0.0', 'NAME_RESERVED'],
  ])('refuses %s with %s', (ref, code) => {
    expect(codeOf(() => parsePluginRef(ref))).toBe(code);
  });
});

describe('two patterns', () => {
  it.each([
    ['prod', 'p*', true],
    ['prod-*', '*-1', true],
    ['prod', '*', true],
    ['a*b*c', 'a*c', true],
    ['*a', 'a*', true],
    ['', '*', true],
    ['prod', 'prod', true],
    ['prod', 'prod-1', false],
    ['prod-*', 'test-*', false],
    ['*a', '*b', false],
    ['prod', 'pr*x*', false],
    ['we b', 'web', false],
    ['', 'a*', false],
  ])('%j and %j have a name in common: %s', (one, other, meet) => {
    expect([patternsMeet(one, other), patternsMeet(other, one)]).toEqual([meet, meet]);
  });
});
