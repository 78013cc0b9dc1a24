import { AUTHORING_VERBS } from './table/authoring.ts';
import { CHANGES_VERBS } from './table/changes.ts';
import { COLLECTIVE_VERBS } from './table/collective.ts';
import { DISCOVERY_VERBS } from './table/discovery.ts';
import { MEMBERSHIP_VERBS } from './table/membership.ts';
import { MIGRATION_VERBS } from './table/migration.ts';
import { OPERATING_VERBS } from './table/operating.ts';
import { PUBLISHING_VERBS } from './table/publishing.ts';
import { REGISTRY_VERBS } from './table/registry.ts';
import { RUNNING_VERBS } from './table/running.ts';
import { TRUST_VERBS } from './table/trust.ts';
import { UPKEEP_VERBS } from './table/upkeep.ts';
import type { VerbRow } from './verb.ts';

/** Every verb of `hv`, as `hv --help` lists them; the modules behind them are loaded when called. */
export const VERBS: VerbRow[] = [
  ...MEMBERSHIP_VERBS,
  ...PUBLISHING_VERBS,
  ...REGISTRY_VERBS,
  ...DISCOVERY_VERBS,
  ...CHANGES_VERBS,
  ...UPKEEP_VERBS,
  ...AUTHORING_VERBS,
  ...MIGRATION_VERBS,
  ...COLLECTIVE_VERBS,
  ...OPERATING_VERBS,
  ...TRUST_VERBS,
  ...RUNNING_VERBS,
];
