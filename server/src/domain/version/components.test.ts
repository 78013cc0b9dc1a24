import { describe, expect, it } from 'vitest';
import { pluginFiles } from '../../../../tests/support/plugin-files.ts';
import { componentsOf, loadedTypes } from './components.ts';
import { contextCost } from './context-cost.ts';

const PATHS = [
  'commands/old.md',
  'commands/sub/deep.md',
  'commands/notes.txt',
  'new/go.md',
  'new/sub/far.md',
  'agents/a.md',
  'other/b.md',
  'skills/s/SKILL.md',
  'skills/s/data.bin',
  'skills/s/in/SKILL.md',
  'skills/README.md',
  'know/k/SKILL.md',
  'hooks/hooks.json',
];
const named = (manifest: Record<string, unknown>, paths = PATHS) =>
  componentsOf(manifest, paths).map(({ kind, name }) => `${kind} ${name}`);

describe('components', () => {
  it('are those of the default places', () => {
    expect(named({})).toEqual(['command old', 'command sub/deep', 'agent a', 'skill s']);
  });

  it('of commands and agents that plugin.json names take the place of the folder, those of skills come beside it', () => {
    expect(named({ commands: './new/', agents: ['./other/b.md'], skills: './know/' })).toEqual([
      'command go',
      'command sub/far',
      'agent b',
      'skill s',
      'skill k',
    ]);
    expect(named({ commands: [], agents: [] })).toEqual(['skill s']);
    expect(named({ commands: { run: { source: './new/go.md' } } })).toEqual(['command run', 'agent a', 'skill s']);
    expect(named({ commands: ['./commands/', './new/sub'] })).toContain('command old');
  });

  it('in the plugin’s root are a skill only where no other place is spoken of', () => {
    const names = (manifest: object, paths: string[]) => named({ ...manifest }, paths);
    expect(names({}, ['SKILL.md', 'x.py'])).toEqual(['skill ']);
    expect(names({}, ['SKILL.md', 'skills/README.md'])).toEqual([]);
    expect(names({ skills: [] }, ['SKILL.md'])).toEqual([]);
    expect(names({ skills: './' }, ['SKILL.md', 'skills/d/SKILL.md', 'x/SKILL.md'])).toEqual(['skill ', 'skill d']);
    expect(names({ skills: '.' }, ['x/SKILL.md'])).toEqual(['skill x']);
    expect(names({}, ['x/SKILL.md'])).toEqual([]);
  });

  it('right in a place of skills are the only one there, and have their own name', () => {
    const paths = ['skills/SKILL.md', 'skills/d/SKILL.md'];
    expect(componentsOf({}, paths)).toEqual([
      { kind: 'skill', file: 'skills/SKILL.md', name: 'skills', namesItself: true },
    ]);
  });
});

it('what is not loaded has no type', () => {
  const typeOf = loadedTypes({ commands: './new/', hooks: './h.json' }, [...PATHS, 'h.json']);
  expect(Object.fromEntries([...PATHS, 'h.json'].map((path) => [path, typeOf(path)]))).toMatchObject({
    'commands/old.md': 'other',
    'new/go.md': 'command',
    'agents/a.md': 'agent',
    'skills/s/data.bin': 'skill',
    'skills/s/in/SKILL.md': 'skill',
    'skills/README.md': 'other',
    'know/k/SKILL.md': 'other',
    'hooks/hooks.json': 'hook',
    'h.json': 'hook',
  });
  const root = loadedTypes({}, ['SKILL.md', 'x.py']);
  expect([root('SKILL.md'), root('x.py')]).toEqual(['skill', 'other']);
});

it('what plugin.json puts aside costs nothing, and a skill in the root is counted by its own name', () => {
  const text = (name: string) => `---\nname: ${name}\ndescription: d\n---\nbody`;
  const files = pluginFiles({
    ...{ '.claude-plugin/plugin.json': { name: 'pp', commands: './new/' }, 'SKILL.md': text('rooty') },
    ...{ 'commands/old.md': text('old'), 'new/sub/go.md': text('go') },
  });
  expect(contextCost(files).components.map(({ kind, name }) => [kind, name])).toEqual([
    ['skill', 'rooty'],
    ['command', 'sub:go'],
  ]);
});
