import { describe, expect, it } from 'vitest';
import { machine, override, registry, version } from '../../../../tests/support/registry-data.ts';
import { type Deeds, explain } from './explain.ts';
import type { MachineFacts, RegistryVersion } from './registry.ts';

function why(versions: RegistryVersion[], name: string, facts: Partial<MachineFacts> = {}, approvals = 0): string[] {
  const quorums = [{ group: 'ops', approvals }];
  const deeds: Deeds = { publishedBy: () => 'ann', overriddenBy: (of, kind) => `${of}-${kind}-op` };
  return explain({ ...registry(...versions), quorums }, machine(facts), name, deeds).reasons.map((r) => r.text);
}

describe('why a plugin is, or is not, on a machine', () => {
  it('names the approvals that are missing, and says nothing of dependencies there are none of', () => {
    const waits = 'is approved by 1 of the 2 operators that a group of this machine demands';
    const told = why([version('p', '1.0.0', { approvedBy: ['ann'] })], 'p', {}, 2);
    expect(told).toContain(`not 1.0.0: it ${waits}`);
    expect(told).toContain(`p@1.0.0 ${waits}`);
    expect(told.join()).not.toContain('does not fit');
    expect(why([version('p', '1.0.0', { approvedBy: ['ann', 'bob'] })], 'p', {}, 2).join()).not.toContain('approved');
  });

  it.each(['yanked', 'deprecated', 'deleted'] as const)(
    'a %s version stays because it is here, and is offered to nobody',
    (status) => {
      const installed = [{ name: 'p', version: '1.0.0' }];
      expect(why([version('p', '1.0.0', { status })], 'p', { installed })).toContain(
        `1.0.0 was published to the group ops by ann; it is ${status}, and stays because it is here`,
      );
      expect(why([version('p', '1.0.0')], 'p', { installed })).toEqual(['1.0.0 is published to the group ops by ann']);
    },
  );

  it('names who excluded or pinned what it needs, also through others, where that is why', () => {
    const versions = [
      version('left', '1.0.0', { needs: { mid: '*' } }),
      version('mid', '1.0.0', { needs: { base: '^1.0.0' } }),
      version('base', '1.0.0'),
    ];
    const overrides = [override({ name: 'base', kind: 'exclude' }), override({ name: 'other', kind: 'exclude' })];
    const told = why(versions, 'left', { overrides, installed: [{ name: 'left', version: '1.0.0' }] });
    expect(told).toContain('base is excluded from this machine by base-exclude-op');
    expect(told.join()).not.toContain('other');
    const pinned = [version('base', '2.0.0'), ...versions];
    expect(why(pinned, 'left', { overrides: [override({ name: 'base', kind: 'pin', range: '2.0.0' })] })).toContain(
      'base is pinned to 2.0.0 here by base-pin-op',
    );
    expect(
      why(versions, 'left', { overrides: [override({ name: 'base', kind: 'pin', range: '1.0.0' })] }).join(),
    ).not.toContain('pin');
  });
});
