import * as z from 'zod';

/** Pieces of arguments and results that several tools share. */

export const reference = z
  .string()
  .min(1)
  .max(300)
  .describe('NAME, NAME@RANGE (devops-essentials@^1.2.0) or an id (plugin_devops-essentials_1.2.0)');

export const machines = z
  .array(z.string().min(1).max(64))
  .min(1, 'an empty list names no machine: leave it out for this machine, or give ["*"] for every compatible one')
  .max(1000)
  .optional()
  .describe(
    'Names of machines, or `*` for every compatible one. Leave out for this machine; others need an operator token',
  );

const version = z.object({ name: z.string(), version: z.string() });

export const finding = z.object({
  code: z.string(),
  severity: z.enum(['error', 'warning', 'note']),
  file: z.string(),
  line: z.number().int().nullable(),
  message: z.string(),
  fix: z.string(),
});

export const registered = {
  id: z.string(),
  name: z.string(),
  version: z.string(),
  digest: z.string(),
  status: z.string(),
};

export const next_steps = z
  .array(z.string())
  .describe('what must still happen before machines have it, and who does it: tell the user');

export const summary = z.object({
  id: z.string(),
  name: z.string(),
  version: z.string(),
  description: z.string(),
  status: z.string(),
  groups: z.array(z.string()).describe('`*` means every machine'),
  installed_count: z.number().int(),
  score: z.number().optional(),
  reason: z.string().optional(),
});

export const unused = z
  .array(z.object({ name: z.string(), version: z.string(), tokens: z.number().int(), text: z.string() }))
  .describe('installed, in the context of every session, and not used as far as was counted');

export const popular = z
  .array(z.object({ name: z.string(), version: z.string(), machines: z.number().int(), uses: z.number().int() }))
  .describe('what most machines used in the last 30 days');

/** What an installation, sync or removal did to this machine. */
export const applied = {
  installed: z.array(version).describe('first installations, and repairs'),
  updated: z.array(z.object({ name: z.string(), from: z.string(), to: z.string() })),
  removed: z.array(z.string()),
  waiting: z
    .array(z.object({ name: z.string(), from: z.string().nullable(), to: z.string().nullable(), why: z.string() }))
    .describe('changes that were not made; why: policy (updates wait for a sync), held, refused or dependency'),
  edit_conflicts: z.array(z.string()).describe("files where the user's edits stay and the new file lies beside"),
  problems: z.array(z.object({ name: z.string(), code: z.string(), message: z.string() })),
  warnings: z.array(z.string()),
  reload_needed: z.boolean().describe('true: /reload-plugins or a new session loads the change'),
};
