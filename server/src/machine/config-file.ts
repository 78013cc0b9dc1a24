import * as z from 'zod';
import { HaiveError } from '../domain/errors.ts';
import { FindingPolicy } from '../domain/findings/policy.ts';
import { writeAtomic } from './files/atomic-file.ts';
import { makeDirs, readFileOrNull } from './files/file-port.ts';
import { readKept } from './files/kept-reads.ts';
import type { Machine } from './machine.ts';
import { withLock } from './processes/lock.ts';

const CONFIG_FORMAT = 1;

/** Where plugins may come from. A file that many machines share may name one of a newer program: it lets nothing in here. */
export const SOURCES = ['haivemind', 'local'];

/** The seed's `plugins` block, as far as a machine reads it; docs/configuration.md lists every key. */
const PluginsConfig = z.looseObject({
  enabled: z.boolean().default(true),
  /** Where links and our folder lie; unset: `plugins` in the client's folder. */
  install_path: z.string().min(1).optional(),
  auto_sync: z.boolean().default(true),
  /** Seconds between checks while a session or agent runs without a doorbell. */
  sync_interval: z.number().int().min(1).default(3600),
  auto_install_updates: z.boolean().default(false),
  verify_checksums: z.boolean().default(true),
  allowed_sources: z.array(z.string()).default([...SOURCES]),
  machine_group_auto_install: z.boolean().default(true),
  max_plugin_size_mb: z.number().positive().default(50),
  backup_before_update: z.boolean().default(true),
  /** `false`: what is used here is neither counted nor told. */
  usage: z.boolean().default(true),
  /** Severity of findings by code, for what this machine validates and publishes. */
  findings: FindingPolicy.default({}),
  /** `loose` copies plugins among the user's own commands, agents, skills, hooks and servers; a sync switches. */
  layout: z.enum(['native', 'loose']).default('native'),
  /** What the loose layout does with a name that is taken. */
  name_clash: z.enum(['refuse', 'suffix']).default('refuse'),
});

/** ~/.haivemind/config.json. Unknown keys are kept. */
export const Config = z.looseObject({
  format: z.literal(CONFIG_FORMAT).default(CONFIG_FORMAT),
  hub_url: z.string().optional(),
  /** A hub on another host may be spoken to without TLS: the network itself is encrypted. */
  plain_http: z.boolean().optional(),
  /** The proxy to the hub where the environment names none, as a service's does not. */
  proxy: z.url({ protocol: /^https?$/ }).optional(),
  /** Hosts reached without a proxy, as in NO_PROXY. */
  no_proxy: z.string().optional(),
  /** MCP address (http) of a hAIveMind memory server that keeps shared memories in the hub's place. */
  memory_server: z.url({ protocol: /^https?$/ }).optional(),
  /** PEM of the authority that the hub's certificate comes from, as pinned at join. */
  hub_ca: z.string().optional(),
  hub: z.looseObject({ id: z.string(), public_key: z.string(), epoch: z.number().int() }).optional(),
  /** `host`: the computer that joined, so that a copied HOME is noticed. */
  machine: z.looseObject({ id: z.string(), name: z.string(), host: z.string().optional() }).optional(),
  /** This machine's own token. */
  token: z.string().optional(),
  groups: z.array(z.string()).default([]),
  capabilities: z.array(z.string()).default([]),
  /** What this machine is for, in a word and in a sentence: the roster shows it, tasks may ask for it. */
  role: z.string().max(64).optional(),
  about: z.string().max(500).optional(),
  /** An operator's or publisher's token, kept by `hv login`. */
  login: z.looseObject({ url: z.string(), token: z.string() }).optional(),
  /** The last plan accepted: a machine never goes back behind it. */
  plan: z
    .looseObject({
      etag: z.string(),
      counter: z.number().int(),
      epoch: z.number().int(),
      lineage: z.array(z.tuple([z.string(), z.number().int()])).optional(),
    })
    .optional(),
  /** Claude Code's folders in which a plan was followed: `~/.claude`, and what CLAUDE_CONFIG_DIR named. */
  claude_folders: z.array(z.string()).optional(),
  plugins: z.prefault(PluginsConfig, {}),
});

export type Config = z.infer<typeof Config>;
export type PluginsConfig = z.infer<typeof PluginsConfig>;

/** @throws HaiveError CONFIG_INVALID naming the first wrong key, FORMAT_UNSUPPORTED */
export function parseConfig(value: unknown, where: string): Config {
  const format = typeof value === 'object' && value !== null && 'format' in value ? value.format : CONFIG_FORMAT;
  if (typeof format === 'number' && format > CONFIG_FORMAT) {
    throw new HaiveError('FORMAT_UNSUPPORTED', `${where} has format ${format}, this program knows ${CONFIG_FORMAT}`);
  }
  const parsed = Config.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const key = issue?.path.join('.') || 'the whole';
  throw new HaiveError('CONFIG_INVALID', `${where}: ${key}: ${issue?.message ?? 'wrong form'}`, { details: { key } });
}

/**
 * This machine's configuration with all defaults; a missing file is an empty one.
 * @throws HaiveError CONFIG_INVALID, FORMAT_UNSUPPORTED, IO_ERROR
 */
export async function readConfig(m: Machine): Promise<Config> {
  const { config } = m.paths;
  return readKept(config, (bytes) => parseConfig(rawOf(bytes, config), config), { settledMs: SETTLED_MS });
}

/** People edit this file in place. */
const SETTLED_MS = 50;

function rawOf(bytes: Buffer | null, where: string): Record<string, unknown> {
  if (bytes === null) return {};
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8').replace(/^\uFEFF/, ''));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    throw new Error('not an object');
  } catch (cause) {
    throw new HaiveError('CONFIG_INVALID', `${where} is not a JSON object`, {
      cause,
      hint: 'Mend it by hand: it holds the token of this machine. If it is lost, move the file away, let an operator run `hv machines remove`, and join again.',
    });
  }
}

/**
 * Changes the configuration under its lock and writes it whole, mode 0600. `change` gets what is really written in the file, without
 * defaults, so that defaults stay out of it; the result is checked before it is written.
 * @param options.settled false: a loss of power right after may bring the file from before back
 * @throws HaiveError CONFIG_INVALID, LOCKED, DISK_FULL, READ_ONLY
 */
export async function updateConfig(
  m: Machine,
  change: (raw: Record<string, unknown>) => Record<string, unknown>,
  options: { settled?: boolean } = {},
): Promise<Config> {
  return withHomeLock(m, 'configuration', () => changeConfig(m, change, options));
}

/**
 * Runs `fn` while this process alone changes what every CLAUDE_CONFIG_DIR of this HOME shares. Not reentrant.
 * @param purpose as withLock
 * @throws HaiveError LOCKED, and whatever `fn` throws
 */
export async function withHomeLock<T>(m: Machine, purpose: string, fn: () => Promise<T>): Promise<T> {
  // Our folder among the client's is not made for this.
  const locked = { ...m, paths: { ...m.paths, root: m.paths.home, lock: m.paths.configLock } };
  return withLock(locked, purpose, fn);
}

/**
 * The same for who holds that lock.
 * @throws HaiveError CONFIG_INVALID, DISK_FULL, READ_ONLY
 */
export async function changeConfig(
  m: Machine,
  change: (raw: Record<string, unknown>) => Record<string, unknown>,
  options: { settled?: boolean } = {},
): Promise<Config> {
  const raw = rawOf(await readFileOrNull(m.paths.config), m.paths.config);
  const next = { format: CONFIG_FORMAT, ...change(raw) };
  const config = parseConfig(next, m.paths.config);
  await makeDirs(m.port, m.paths.haivemindHome);
  const settled = options.settled ?? true;
  await writeAtomic(m.port, m.paths.config, `${JSON.stringify(next, null, 2)}\n`, { secret: true, settled });
  return config;
}
