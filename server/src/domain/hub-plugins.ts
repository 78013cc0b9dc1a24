import * as z from 'zod';
import { APPROVAL_MODES } from './approval.ts';
import { HaiveError } from './errors.ts';
import { FindingPolicy } from './findings/policy.ts';

const positive = z.number().positive().max(1e9);
const HubLimitsBlock = z.strictObject({
  failed_logins_per_minute: positive.optional(),
  address_per_second: positive.optional(),
  address_burst: positive.min(1).optional(),
  machine_per_second: positive.optional(),
  machine_burst: positive.min(1).optional(),
  token_per_second: positive.optional(),
  token_burst: positive.min(1).optional(),
  registrations_per_token: positive.min(1).optional(),
  registrations: positive.min(1).optional(),
});

/** The seed's `plugins` block, as far as a hub reads it; a hub does not start with what does not fit. */
export const HubPlugins = z.object({
  registry_db: z.string().min(1).optional(),
  max_plugin_size_mb: z.number().positive().max(2048).optional(),
  allowed_source_hosts: z.array(z.string()).optional(),
  approvals: z.enum(APPROVAL_MODES).optional(),
  /** Any text, for machines may be in groups of old, odd names; who sets it asks `isGroupPattern`. */
  approval_groups: z.array(z.string()).optional(),
  findings: FindingPolicy.optional(),
  limits: HubLimitsBlock.optional(),
});
export type HubPlugins = z.infer<typeof HubPlugins>;

/**
 * The folder of `registry_db`, in which the hub keeps everything of its own: the seed names the database file.
 * @throws HaiveError CONFIG_INVALID for a file of another name
 */
export function dataDirOf(registryDb: string): string {
  if (/(^|[/\\])plugins\.db$/.test(registryDb)) return registryDb.replace(/[/\\]?plugins\.db$/, '') || '.';
  throw new HaiveError('CONFIG_INVALID', `plugins.registry_db must name a file plugins.db, not ${registryDb}`);
}
