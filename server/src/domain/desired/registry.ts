import type { Dependency } from '../version/manifest.ts';

/** The registry as pure data: what desired state, resolution and explanations are computed from. */

export type VersionStatus = 'registered' | 'published' | 'deprecated' | 'yanked' | 'revoked' | 'deleted';

export interface RegistryVersion {
  id: string;
  name: string;
  version: string;
  digest: string;
  status: VersionStatus;
  /** Groups it is published to; `*` means every machine, a name may hold `*` as wildcard. */
  targets: { group: string; notify: boolean }[];
  /** Where it MAY go (manifest machine_groups); empty means anywhere. */
  machineGroups: string[];
  requiredCapabilities: string[];
  minHaivemindVersion: string | null;
  dependencies: Dependency[];
  /** When it was first offered, ISO-8601. */
  publishedAt?: string | null;
  /** Operators who approved these bytes. */
  approvedBy?: readonly string[];
}

/** How many operators must have approved what machines of a group (`*` as wildcard) get. */
export interface Quorum {
  group: string;
  approvals: number;
}

export interface Registry {
  seq: number;
  /** By plugin name; versions highest first. */
  plugins: ReadonlyMap<string, readonly RegistryVersion[]>;
  quorums?: readonly Quorum[];
}

export interface MachineOverride {
  name: string;
  /** install: wanted here · pin: only versions in range · hold: exactly the version in range stays · exclude: never here. */
  kind: 'install' | 'pin' | 'hold' | 'exclude';
  range: string;
  /** Changes with every forced reinstall. */
  force: string | null;
  /** Whether an operator said so (may install what is only registered) or the machine itself. */
  byOperator: boolean;
}

export interface MachineFacts {
  id: string;
  name: string;
  groups: readonly string[];
  capabilities: readonly string[];
  haivemindVersion: string;
  /** What the machine last reported as installed. */
  installed: readonly { name: string; version: string }[];
  overrides: readonly MachineOverride[];
}
