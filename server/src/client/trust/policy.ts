import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as z from 'zod';
import { HaiveError } from '../../domain/errors.ts';
import type { Policy } from '../../domain/policy.ts';
import { readFileOrNull } from '../../machine/files/file-port.ts';
import type { Machine } from '../../machine/machine.ts';

const list = z.array(z.string());
const surface = z
  .strictObject({
    tools: list,
    hook_events: list,
    commands: list,
    hosts: list,
    mcp_servers: list,
    environment: list,
    files: list,
  })
  .partial();
const hours = z
  .number()
  .min(0)
  .max(24 * 365);

/** policy.json. A key that is not known is refused: a rule that is misspelt would protect nobody. */
const PolicyFile = z.strictObject({
  format: z.literal(1).default(1),
  sources: z.array(z.enum(['published', 'imported'])).optional(),
  publishers: z.array(z.string().regex(/^[0-9a-f]{32}$/)).optional(),
  plugins: z.strictObject({ allow: list.optional(), deny: list.optional() }).optional(),
  forbid: surface.optional(),
  max_surface: surface.optional(),
  min_age_hours: hours.optional(),
  min_age_groups: z.record(z.string(), hours).optional(),
  confirm: z.enum(['never', 'new', 'wider', 'always']).optional(),
  signed_approval: z.enum(['never', 'wider', 'always']).optional(),
  signed_approvals: z.number().int().min(1).max(20).optional(),
  downgrade: z.enum(['allow', 'signed']).optional(),
  sandbox: z.enum(['off', 'refuse', 'confine']).optional(),
  sandbox_fallback: z.enum(['refuse', 'warn']).optional(),
});

/**
 * The policies that hold on this machine: the administrator's first, then the user's. None: everything is allowed.
 * @throws HaiveError CONFIG_INVALID for a file that is not understood, or an administrator's that others could have written
 */
export async function readPolicies(m: Machine): Promise<Policy[]> {
  const policies: Policy[] = [];
  for (const path of [m.paths.systemPolicy, m.paths.policy]) {
    const bytes = await readFileOrNull(path);
    if (bytes === null) continue;
    if (path === m.paths.systemPolicy) await requireRoot(path);
    policies.push(parsePolicy(bytes, path));
  }
  return policies;
}

function parsePolicy(bytes: Buffer, path: string): Policy {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new HaiveError('CONFIG_INVALID', `${path} is not JSON`, { cause, hint: 'Nothing is installed until it is.' });
  }
  const parsed = PolicyFile.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new HaiveError('CONFIG_INVALID', `${path}: ${issue?.path.join('.') || 'the whole'}: ${issue?.message}`, {
    hint: 'Nothing is installed until the policy is understood.',
  });
}

/**
 * Nobody but root may have written the file, put another in its place, or pointed a link elsewhere: every folder on the way belongs to root
 * and is written by nobody else. (In one with the sticky bit nobody else's files can be replaced.)
 */
async function requireRoot(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const real = await realpath(path);
  const onTheWay = new Set([...foldersOf(path), ...foldersOf(real)]);
  for (const one of [real, ...onTheWay]) {
    const { uid, mode } = await stat(one);
    const writers = onTheWay.has(one) && (mode & 0o1000) !== 0 ? 0 : mode & 0o022;
    if (uid === 0 && writers === 0) continue;
    throw new HaiveError('CONFIG_INVALID', `${one} must belong to root and be writable by nobody else`, {
      hint: `Whoever can write it could change the policy in ${path}: chown root and chmod go-w.`,
    });
  }
}

function foldersOf(path: string): string[] {
  const above = dirname(path);
  return above === path ? [] : [above, ...foldersOf(above)];
}
