import { describe, expect, it } from 'vitest';
import { classifier, classify, namedPaths, plainPath } from './file-types.ts';

describe('file types', () => {
  it.each([
    ['commands/a.md', 'command'],
    ['commands/sub/a.MD', 'command'],
    ['commands/a.txt', 'other'],
    ['agents/a.md', 'agent'],
    ['skills/s/SKILL.md', 'skill'],
    ['skills/s/data.bin', 'skill'],
    ['hooks/run.sh', 'hook'],
    ['.mcp.json', 'mcp'],
    ['sub/.mcp.json', 'other'],
    ['README.md', 'other'],
    ['.claude-plugin/plugin.json', 'other'],
    ['commandsx/a.md', 'other'],
  ])('%s is %s', (path, type) => {
    expect(classify(path)).toBe(type);
  });
  it('honours what the manifest names', () => {
    const typeOf = classifier({
      commands: { go: { source: './c/go.md' } },
      agents: ['./team/a.md'],
      skills: './know/',
      hooks: ['./h.json', { Stop: [] }],
      mcpServers: './servers.json',
    });
    const paths = [
      'c/go.md',
      'c/other.md',
      'team/a.md',
      'team/b.md',
      'know/k/x.bin',
      'h.json',
      'servers.json',
      'commands/a.md',
    ];
    expect(paths.map(typeOf)).toEqual(['command', 'other', 'agent', 'other', 'skill', 'hook', 'mcp', 'command']);
  });
  it('reads paths in every form', () => {
    expect(namedPaths('./a/')).toEqual(['a']);
    expect(namedPaths(['./a', 3, 'b//'])).toEqual(['a', 'b']);
    expect(namedPaths({ x: { source: '././/c.md' }, y: {} })).toEqual(['c.md']);
    expect(namedPaths(undefined)).toEqual([]);
    expect(plainPath('.hidden/')).toBe('.hidden');
    expect(['./a/./b//../c', './', '.', '../a', './a/../../b', '/a/', 'https://h/a//b'].map(plainPath)).toEqual([
      'a/c',
      '',
      '',
      '../a',
      '../b',
      '/a',
      'https://h/a//b',
    ]);
  });
});
