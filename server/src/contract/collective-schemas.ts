import * as z from 'zod';

/** What the machines of a collective tell each other: memories, broadcasts, tasks, and who is there. */

export const word = z.string().min(1).max(64);
export const words = (most: number) => z.array(word).max(most).default([]);
const moment = z.iso.datetime({ offset: true });

/** What of a memory's author may be told: `normal` may leave the machine, the others never do. */
export const Confidentiality = z.enum(['normal', 'internal', 'confidential', 'pii']);
export const Visibility = z.enum(['private', 'groups', 'collective']);

const memoryText = {
  content: z.string().trim().min(1).max(16_384),
  category: word.default('general'),
  tags: words(30),
  project: z.string().max(200).nullable().default(null),
  importance: z.number().int().min(1).max(5).default(3),
  expires_at: moment.nullable().default(null),
};

/** A memory as it is sent to the hub: strict, so that one marked as not for others is refused whole. */
export const NewMemory = z.strictObject({
  ...memoryText,
  visibility: z
    .enum(['groups', 'collective'])
    .optional()
    .describe('`groups` where groups are named, else `collective`, when left out'),
  groups: words(100).describe('who may read it; the own groups when empty, with visibility `groups`'),
  confidentiality: z.literal('normal').default('normal'),
});

/** One of an import: keeps its id and times, so that importing twice changes nothing. */
export const ImportedMemory = NewMemory.extend({
  id: z
    .string()
    .regex(/^mem_[A-Za-z0-9_-]{8,64}$/)
    .optional(),
  created_at: moment.optional(),
  source: z.string().max(200).optional(),
});

export const MemoryEdit = z.strictObject({
  content: memoryText.content.optional(),
  category: word.optional(),
  tags: z.array(word).max(30).optional(),
  project: z.string().max(200).nullable().optional(),
  importance: z.number().int().min(1).max(5).optional(),
  expires_at: moment.nullable().optional(),
  visibility: z.enum(['groups', 'collective']).optional(),
  groups: z.array(word).max(100).optional().describe('who may read it from now on; makes the visibility `groups`'),
});

export const Memory = z.object({
  id: z.string(),
  content: z.string(),
  category: z.string(),
  tags: z.array(z.string()),
  project: z.string().nullable(),
  importance: z.number().int(),
  visibility: Visibility,
  groups: z.array(z.string()),
  confidentiality: Confidentiality,
  /** Name of the machine (or token) that stored it. */
  machine: z.string(),
  created_at: z.string(),
  updated_at: z.string(),
  expires_at: z.string().nullable(),
});

const memoryFilter = {
  category: z.string().max(64).optional(),
  machine: z.string().max(64).optional(),
  project: z.string().max(200).optional(),
  min_importance: z.coerce.number().int().min(1).max(5).optional(),
};

export const MemorySearch = z.object({
  ...memoryFilter,
  query: z.string().min(1).max(2000),
  keywords: z.array(z.string().max(100)).max(30).default([]),
  tags: words(30),
  limit: z.number().int().min(1).max(50).default(10),
});

export const MemoryQuery = z.object({
  ...memoryFilter,
  tag: z.string().max(64).optional(),
  since: moment.optional(),
  limit: z.coerce.number().int().min(1).max(500).default(20),
  after: z.string().max(200).optional().describe('the `next` of the page before'),
});

export const MemoryHit = Memory.extend({ score: z.number(), reason: z.string() });

export const Severity = z.enum(['info', 'warning', 'critical']);

export const NewBroadcast = z.strictObject({
  content: z.string().trim().min(1).max(2000),
  category: word.default('discovery'),
  severity: Severity.default('info'),
  groups: words(100).describe('empty: everybody'),
  expires_in_hours: z
    .number()
    .positive()
    .max(24 * 90)
    .default(72),
});

export const Broadcast = z.object({
  id: z.string(),
  content: z.string(),
  category: z.string(),
  severity: Severity,
  groups: z.array(z.string()),
  machine: z.string(),
  created_at: z.string(),
  expires_at: z.string(),
  /** By the asking machine. */
  acknowledged: z.boolean(),
  /** How many machines have. */
  acknowledged_by: z.number().int(),
});

export const TaskStatus = z.enum(['open', 'claimed', 'done', 'failed', 'cancelled']);

export const NewTask = z.strictObject({
  title: z.string().trim().min(1).max(200),
  description: z.string().trim().max(8000).default(''),
  required_capabilities: words(50),
  groups: words(100).describe('empty: machines of any group'),
  machine: z.string().max(64).nullable().default(null).describe('only this machine'),
  role: word.nullable().default(null).describe('only machines that announced this role'),
  priority: z.number().int().min(1).max(5).default(3),
  deadline_at: moment.nullable().default(null),
  max_attempts: z.number().int().min(1).max(10).default(3),
});

export const Task = z.object({
  id: z.string(),
  title: z.string(),
  description: z.string(),
  required_capabilities: z.array(z.string()),
  groups: z.array(z.string()),
  machine: z.string().nullable(),
  role: z.string().nullable(),
  priority: z.number().int(),
  status: TaskStatus,
  from: z.string(),
  claimed_by: z.string().nullable(),
  /** Counts claims: what the claimant says is taken only with the number of its own claim. */
  attempt: z.number().int(),
  max_attempts: z.number().int(),
  lease_until: z.string().nullable(),
  deadline_at: z.string().nullable(),
  progress: z.string(),
  result: z.string(),
  /** Why it failed, was cancelled, or is open again. */
  reason: z.string(),
  created_at: z.string(),
  updated_at: z.string(),
});

export const TaskUpdate = z.strictObject({
  /** Of the claim; not needed to cancel. */
  attempt: z.number().int().min(1).optional(),
  status: z.enum(['claimed', 'done', 'failed', 'released', 'cancelled']).optional(),
  progress: z.string().max(2000).optional(),
  result: z.string().max(16_384).optional(),
  reason: z.string().max(2000).optional(),
});

export const Agent = z.object({
  machine: z.string(),
  role: z.string(),
  about: z.string(),
  groups: z.array(z.string()),
  capabilities: z.array(z.string()),
  online: z.boolean(),
  last_seen: z.string().nullable(),
  /** Tasks it has claimed and not finished. */
  load: z.number().int(),
});

export const Announcement = z.strictObject({ role: z.string().max(64), about: z.string().max(500).default('') });

export const Inbox = z.object({
  /** Grows with everything that may change an inbox. */
  revision: z.number().int(),
  broadcasts: z.array(Broadcast),
  /** Open tasks that this machine may claim. */
  tasks: z.array(Task),
  /** Tasks that this machine delegated and that ended in the last day. */
  ended: z.array(Task),
});
