// Registries, machines and overrides as desired state reads them.

import type {
  MachineFacts,
  MachineOverride,
  Registry,
  RegistryVersion,
} from '../../server/src/domain/desired/registry.ts';
import type { Dependency } from '../../server/src/domain/version/manifest.ts';

export function version(
  name: string,
  number: string,
  over: Partial<RegistryVersion> & { to?: string[]; needs?: Record<string, string> } = {},
): RegistryVersion {
  const { to, needs, ...rest } = over;
  const dependencies: Dependency[] = Object.entries(needs ?? {}).map(([n, range]) => ({
    name: n,
    range,
    kind: 'required',
  }));
  return {
    id: `plugin_${name}_${number}`,
    name,
    version: number,
    digest: `sha256:${name}${number}`,
    status: 'published',
    targets: (to ?? ['ops']).map((group) => ({ group, notify: true })),
    machineGroups: [],
    requiredCapabilities: [],
    minHaivemindVersion: null,
    dependencies,
    ...rest,
  };
}

/** Versions of one plugin must come highest first. */
export function registry(...versions: RegistryVersion[]): Registry {
  const plugins = new Map<string, RegistryVersion[]>();
  for (const v of versions) plugins.set(v.name, [...(plugins.get(v.name) ?? []), v]);
  return { seq: 1, plugins };
}

export const machine = (over: Partial<MachineFacts> = {}): MachineFacts => ({
  id: 'm1',
  name: 'm1',
  groups: ['ops'],
  capabilities: [],
  haivemindVersion: '1.0.0',
  installed: [],
  overrides: [],
  ...over,
});

export const override = (over: Partial<MachineOverride> & Pick<MachineOverride, 'name' | 'kind'>): MachineOverride => ({
  range: '*',
  force: null,
  byOperator: false,
  ...over,
});
