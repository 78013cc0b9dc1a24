import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { HaiveError } from '../errors.ts';
import { parseManifest } from './manifest.ts';

const base = { name: 'x', version: '1.0.0' };
const parse = (value: unknown) => parseManifest(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)));
const codeOf = (value: unknown): string => {
  try {
    parse(value);
  } catch (error) {
    return error instanceof HaiveError ? error.code : `not ours: ${error}`;
  }
  return 'ok';
};

describe('parseManifest', () => {
  it("reads the seed's manifest", () => {
    const path = new URL('../../../../tests/fixtures/devops-essentials/.claude-plugin/plugin.json', import.meta.url);
    const manifest = parseManifest(readFileSync(path));
    expect(manifest).toMatchObject({
      name: 'devops-essentials',
      version: '1.2.0',
      author: { name: 'hAIveMind Collective', organization: 'Unit 221B' },
      machineGroups: ['orchestrators', 'dev_environments'],
      requiredCapabilities: ['deployment', 'infrastructure_management'],
      minHaivemindVersion: '1.0.0',
      dependencies: [{ name: 'base-memory-tools', range: '^1.0.0', kind: 'required' }],
      mcpServerDependencies: ['haivemind'],
    });
    expect(manifest.raw.components).toBeDefined();
  });
  it('takes a byte order mark and gives defaults', () => {
    expect(parse(`\uFEFF${JSON.stringify(base)}`)).toMatchObject({
      ...{
        description: '',
        author: { name: '' },
        keywords: [],
        machineGroups: [],
        globalCommands: false,
        useCases: [],
      },
      ...{ dependencies: [], mcpServerDependencies: [] },
    });
  });
  it('reads every form of a dependency', () => {
    const { dependencies, mcpServerDependencies } = parse({
      ...base,
      dependencies: [
        'a',
        'b@^1.0.0',
        'c@elsewhere',
        { name: 'd', version: '2.x' },
        { name: 'e', marketplace: 'other' },
      ],
      haivemind: { dependencies: { optional: ['f@>=1'], mcp_servers: ['m'] }, optional_dependencies: [{ name: 'g' }] },
    });
    expect(dependencies).toEqual([
      { name: 'a', range: '*', kind: 'required' },
      { name: 'b', range: '^1.0.0', kind: 'required' },
      { name: 'd', range: '2.x', kind: 'required' },
      { name: 'f', range: '>=1', kind: 'optional' },
      { name: 'g', range: '*', kind: 'optional' },
    ]);
    expect(mcpServerDependencies).toEqual(['m']);
    const seed = parse({
      ...base,
      dependencies: { plugins: [{ name: 'a', range: '^2', optional: true }], optional: ['b'] },
    });
    expect(seed.dependencies.map((d) => `${d.name} ${d.range} ${d.kind}`)).toEqual(['a ^2 optional', 'b * optional']);
  });
  it.each<[unknown, string]>([
    ['{x', 'MANIFEST_INVALID'],
    ['', 'MANIFEST_INVALID'],
    ['[]', 'MANIFEST_INVALID'],
    ['null', 'MANIFEST_INVALID'],
    [`{"name":"x","version":"1.0.0","a":"${'x'.repeat(1_100_000)}"}`, 'MANIFEST_INVALID'],
    [{ version: '1.0.0' }, 'MANIFEST_INVALID'],
    [{ name: 'x' }, 'MANIFEST_INVALID'],
    [{ ...base, name: 7 }, 'MANIFEST_INVALID'],
    [{ ...base, name: 'X' }, 'NAME_INVALID'],
    [{ ...base, name: 'cache' }, 'NAME_RESERVED'],
    [{ ...base, version: '1' }, 'VERSION_INVALID'],
    [{ ...base, author: 'me' }, 'MANIFEST_INVALID'],
    [{ ...base, author: { name: 1 } }, 'MANIFEST_INVALID'],
    [{ ...base, keywords: 'a' }, 'MANIFEST_INVALID'],
    [{ ...base, haivemind: [] }, 'MANIFEST_INVALID'],
    [{ ...base, haivemind: { machine_groups: 'a' } }, 'MANIFEST_INVALID'],
    [{ ...base, haivemind: { machine_groups: ['a b'] } }, 'NAME_INVALID'],
    [{ ...base, haivemind: { global_commands: 'yes' } }, 'MANIFEST_INVALID'],
    [{ ...base, haivemind: { min_haivemind_version: '1' } }, 'VERSION_INVALID'],
    [{ ...base, dependencies: 'a' }, 'MANIFEST_INVALID'],
    [{ ...base, dependencies: [{}] }, 'MANIFEST_INVALID'],
    [{ ...base, dependencies: [''] }, 'MANIFEST_INVALID'],
    [{ ...base, dependencies: { plugins: ['a'], optional: ['a'] } }, 'MANIFEST_INVALID'],
    [{ ...base, dependencies: [{ name: 'a', version: 'nope' }] }, 'VERSION_INVALID'],
    [{ ...base, dependencies: { plugins: 'a' } }, 'MANIFEST_INVALID'],
    [{ ...base, dependencies: { plugins: ['A B'] } }, 'NAME_INVALID'],
    [{ ...base, dependencies: { mcp_servers: [1] } }, 'MANIFEST_INVALID'],
  ])('refuses %.80j with %s', (value, code) => {
    expect(codeOf(value)).toBe(code);
  });
  it('joins two ranges of one plugin', () => {
    const { dependencies } = parseManifest(
      Buffer.from(JSON.stringify({ name: 'x', version: '1.0.0', dependencies: ['a', 'a@^1.2.0', 'a@<1.9.0'] })),
    );
    expect(dependencies).toEqual([{ name: 'a', range: '^1.2.0 <1.9.0', kind: 'required' }]);
  });
  it('takes a dependency on itself for none', () => {
    const manifest = { name: 'x', version: '1.0.0', dependencies: ['x', 'y'] };
    expect(parseManifest(Buffer.from(JSON.stringify(manifest))).dependencies.map((d) => d.name)).toEqual(['y']);
  });
});
