import { describe, expect, it } from 'vitest';
import { machine, override, registry, version } from '../../../../tests/support/registry-data.ts';
import { desiredState } from './desired-state.ts';
import type { MachineFacts, MachineOverride, Registry, RegistryVersion } from './registry.ts';

const names = (r: Registry, m: MachineFacts): string[] =>
  desiredState(r, m).plugins.map((p) => `${p.name}@${p.version}`);

describe('desired state', () => {
  it('holds the highest version published to a group of the machine, and nothing of other groups', () => {
    const r = registry(
      version('a', '2.0.0', { to: ['web'] }),
      version('a', '1.1.0'),
      version('a', '1.0.0'),
      version('b', '1.0.0', { to: ['web'] }),
    );
    expect(names(r, machine())).toEqual(['a@1.1.0']);
    expect(names(r, machine({ groups: ['web'] }))).toEqual(['a@2.0.0', 'b@1.0.0']);
    expect(names(r, machine({ groups: [] }))).toEqual([]);
  });

  it('understands all machines and wildcards as targets', () => {
    const r = registry(version('a', '1.0.0', { to: ['*'] }), version('b', '1.0.0', { to: ['elastic*'] }));
    expect(names(r, machine({ groups: [] }))).toEqual(['a@1.0.0']);
    expect(names(r, machine({ groups: ['elasticsearch'] }))).toEqual(['a@1.0.0', 'b@1.0.0']);
  });

  it('floats to stable versions and takes a prerelease only where nothing stable was published', () => {
    expect(names(registry(version('a', '2.0.0-beta.1'), version('a', '1.0.0')), machine())).toEqual(['a@1.0.0']);
    expect(names(registry(version('a', '2.0.0-beta.1')), machine())).toEqual(['a@2.0.0-beta.1']);
  });

  it('obeys manifest groups, capabilities and the least hAIveMind version, and says why not', () => {
    const cases: [Partial<RegistryVersion>, string][] = [
      [{ machineGroups: ['web'] }, 'is only for the groups web'],
      [{ requiredCapabilities: ['deploy'] }, 'needs the capabilities deploy'],
      [{ minHaivemindVersion: '9.0.0' }, 'needs hAIveMind 9.0.0'],
    ];
    for (const [over, why] of cases) {
      const state = desiredState(registry(version('a', '1.0.0', over)), machine());
      expect(state.plugins).toEqual([]);
      expect(state.problems[0]).toMatchObject({ name: 'a', code: 'NOT_ELIGIBLE' });
      expect(state.problems[0]?.message).toContain(why);
    }
    expect(
      names(
        registry(version('a', '1.0.0', { requiredCapabilities: ['deploy'] })),
        machine({ capabilities: ['deploy'] }),
      ),
    ).toEqual(['a@1.0.0']);
  });

  it('is closed over required dependencies, which may be published to other groups, dependencies first', () => {
    const r = registry(
      version('app', '1.0.0', { needs: { base: '^1.0.0' } }),
      version('base', '2.0.0', { to: [] }),
      version('base', '1.3.0', { to: ['web'] }),
    );
    const state = desiredState(r, machine());
    expect(state.plugins.map((p) => [p.name, p.version, p.origin])).toEqual([
      ['base', '1.3.0', 'dependency'],
      ['app', '1.0.0', 'published'],
    ]);
    expect(state.plugins[0]?.requiredBy).toEqual(['app']);
  });

  it('says of nothing that it is left out where another brings it', () => {
    const r = registry(
      version('a', '1.0.0', { needs: { e: '^2.0.0' } }),
      version('c', '1.0.0', { needs: { d: '*' } }),
      version('d', '1.0.0', { needs: { e: '^1.0.0' } }),
      version('e', '2.0.0'),
      version('e', '1.0.0'),
    );
    const state = desiredState(r, machine());
    expect(state.plugins.map((p) => p.name)).toEqual(['e', 'a']);
    expect(state.problems.map((p) => p.name).sort()).toEqual(['c', 'd']);
  });

  it('leaves out whoever asks for what cannot be had, also through another, and not what it asks of', () => {
    const r = registry(
      version('asks', '1.0.0', { needs: { between: '*' } }),
      version('between', '1.0.0', { to: [], needs: { there: '^2.0.0' } }),
      version('there', '1.0.0'),
    );
    const state = desiredState(r, machine());
    expect(state.plugins.map((p) => p.name)).toEqual(['there']);
    expect(state.problems).toMatchObject([{ name: 'asks', code: 'DEPENDENCY_MISSING' }]);
  });

  it('leaves out what fits with nothing, explains it, and never drops what is installed for it', () => {
    const r = registry(
      version('newer', '1.0.0', { needs: { base: '^2.0.0' } }),
      version('older', '1.0.0', { needs: { base: '^1.0.0' } }),
      version('base', '2.0.0', { to: [] }),
      version('base', '1.0.0', { to: [] }),
    );
    const state = desiredState(r, machine({ installed: [{ name: 'older', version: '1.0.0' }] }));
    expect(state.plugins.map((p) => p.name)).toEqual(['base', 'older']);
    expect(state.problems).toMatchObject([{ name: 'newer', code: 'DEPENDENCY_CONFLICT' }]);
    expect(state.problems[0]?.message).toContain('newer@1.0.0 wants base ^2.0.0');
    const missing = desiredState(registry(version('app', '1.0.0', { needs: { ghost: '*' } })), machine());
    expect(missing.problems).toMatchObject([{ name: 'app', code: 'DEPENDENCY_MISSING' }]);
  });

  it('installs explicitly, pins exactly, holds, excludes', () => {
    const r = registry(version('a', '2.0.0'), version('a', '1.0.0'), version('b', '1.0.0', { to: [] }));
    const of = (...overrides: MachineOverride[]) => names(r, machine({ overrides }));
    expect(of(override({ name: 'b', kind: 'install' }))).toEqual(['a@2.0.0', 'b@1.0.0']);
    expect(of(override({ name: 'a', kind: 'pin', range: '^1.0.0' }))).toEqual(['a@1.0.0']);
    expect(of(override({ name: 'a', kind: 'install' }), override({ name: 'a', kind: 'hold', range: '1.0.0' }))).toEqual(
      ['a@1.0.0'],
    );
    expect(of(override({ name: 'a', kind: 'exclude' }))).toEqual([]);
    const pinned = desiredState(r, machine({ overrides: [override({ name: 'a', kind: 'install', range: '1.0.0' })] }));
    expect(pinned.plugins[0]).toMatchObject({ version: '1.0.0', pinned: true, origin: 'explicit' });
    expect(
      desiredState(r, machine({ overrides: [override({ name: 'ghost', kind: 'install' })] })).problems,
    ).toMatchObject([{ code: 'PLUGIN_NOT_FOUND' }]);
    expect(
      desiredState(r, machine({ overrides: [override({ name: 'a', kind: 'install', range: '^7.0.0' })] })).problems,
    ).toMatchObject([{ code: 'VERSION_NOT_FOUND' }]);
  });

  it('keeps what is installed where nothing is in the range that was asked for, and says so', () => {
    const r = registry(version('a', '2.0.0'), version('a', '1.0.0'));
    const installed = [{ name: 'a', version: '1.0.0' }];
    for (const kind of ['pin', 'install', 'hold'] as const) {
      const overrides = [override({ name: 'a', kind, range: '1.0.1' })];
      const state = desiredState(r, machine({ overrides, installed }));
      expect(state.plugins).toMatchObject([{ name: 'a', version: '1.0.0' }]);
      expect(state.problems).toMatchObject([{ name: 'a', code: 'VERSION_NOT_FOUND' }]);
      expect(desiredState(r, machine({ overrides })).plugins).toEqual([]);
    }
    const revoked = registry(version('a', '1.0.0', { status: 'revoked' }));
    const overrides = [override({ name: 'a', kind: 'pin', range: '1.0.1' })];
    expect(desiredState(revoked, machine({ overrides, installed })).plugins).toEqual([]);
  });

  it('drops a plugin whose dependency is excluded', () => {
    const r = registry(version('app', '1.0.0', { needs: { base: '*' } }), version('base', '1.0.0'));
    const state = desiredState(r, machine({ overrides: [override({ name: 'base', kind: 'exclude' })] }));
    expect(state.plugins).toEqual([]);
    expect(state.problems).toMatchObject([{ name: 'app', code: 'DEPENDENCY_MISSING' }]);
  });

  const here = { installed: [{ name: 'a', version: '1.0.0' }] };
  const asked = { overrides: [override({ name: 'a', kind: 'install' })] };
  const exactly = { overrides: [override({ name: 'a', kind: 'install', range: '1.0.0', byOperator: true })] };
  it.each([
    ['registered', {}, false],
    ['registered', asked, false],
    ['registered', exactly, true],
    ['published', {}, true],
    ['deprecated', {}, false],
    ['deprecated', here, true],
    ['deprecated', asked, true],
    ['yanked', asked, false],
    ['yanked', here, true],
    ['revoked', here, false],
    ['revoked', exactly, false],
    ['deleted', {}, false],
    ['deleted', here, true],
  ] as const)('status %s with %j: wanted %s', (status, over, wanted) => {
    expect(names(registry(version('a', '1.0.0', { status })), machine(over))).toEqual(wanted ? ['a@1.0.0'] : []);
  });

  it('replaces a yanked version once a higher one is there, and does not go down from it', () => {
    const yanked = version('a', '2.0.0', { status: 'yanked' });
    const m = machine({ installed: [{ name: 'a', version: '2.0.0' }] });
    expect(names(registry(yanked, version('a', '1.0.0')), m)).toEqual(['a@2.0.0']);
    expect(names(registry(version('a', '2.0.1'), yanked), m)).toEqual(['a@2.0.1']);
  });
});
