import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import * as z from 'zod';
import type { APPROVAL_MODES } from '../domain/approval.ts';
import { errnoOf, HaiveError } from '../domain/errors.ts';
import type { FindingPolicy } from '../domain/findings/policy.ts';
import { dataDirOf, HubPlugins } from '../domain/hub-plugins.ts';
import { isLoopback } from '../domain/loopback.ts';
import type { TurnLimits } from './turns.ts';

/** Everything the hub can be told; the only file of the hub that reads the environment. Times in ms, sizes in bytes. */
export interface HubConfig {
  host: string;
  /** 0 lets the system choose. */
  port: number;
  dataDir: string;
  /** PostgreSQL; without it the hub keeps SQLite in dataDir. */
  databaseUrl: string | undefined;
  /** Where hub.json and config.json lie (`~/.haivemind`). */
  home: string;
  tls: { cert: string; key: string } | undefined;
  /** A proxy in front ends TLS; its X-Forwarded-For and X-Forwarded-Proto are believed. */
  behindProxy: boolean;
  /** The address machines reach this hub at, when it is not the one it listens on. */
  publicUrl: string | undefined;
  maxPluginSizeMb: number;
  /** Severity of findings by code: what this hub refuses to register. */
  findings: FindingPolicy;
  /** Hosts plugin_url may name although their address is private. */
  allowedSourceHosts: readonly string[];
  /** What waits for an operator: an update that does more, also one whose programs changed, every version, or nothing. */
  approvals: ApprovalMode;
  /** Groups that take only what an operator approved, `*` as wildcard. */
  approvalGroups: readonly string[];
  /** A Chroma server that keeps the vectors of the search; without it the hub keeps them itself. */
  chromaUrl?: string | undefined;
  /** The hub runs a Chroma server of its own, where the computer can; `chromaUrl` is then where that one answers. */
  localChroma?: boolean | undefined;
  /** The native package with that server, where not the one beside chromadb is meant. */
  chromaBinding?: string | undefined;
  /**
   * An OpenAI-compatible `/embeddings` endpoint, or a folder with a model in ONNX format (and the folder of its runtime),
   * whose vectors the search uses beside words, instead of the hub's own.
   */
  embeddings?:
    | { url: string; model: string; key: string | undefined }
    | { folder: string; runtime?: string | undefined; thread?: string }
    | undefined;
  /** How long a plan counts as fresh. */
  planTtlMs: number;
  limits: HubLimits;
  logLevel: LogLevel;
}

export interface HubLimits {
  jsonBodyBytes: number;
  connections: number;
  /** From the first byte of a request to the end of its head. */
  headersMs: number;
  /** From the first byte of a request to the end of its body. */
  requestMs: number;
  /** A body that sends nothing for so long is given up. */
  bodyIdleMs: number;
  /** How long a graceful stop waits for requests in flight. */
  drainMs: number;
  /** Failed authentications one address may make in a minute before it must wait. */
  failedAuthPerMinute: number;
  /** Requests of one address; of one token of a machine; of any other token, which may act for a whole fleet. */
  addressRequests: RequestRate;
  machineRequests: RequestRate;
  tokenRequests: RequestRate;
  /** Registrations at once: each holds a plugin in memory while it is read. */
  registrations: TurnLimits;
  socketPayloadBytes: number;
  /** A socket that has more than this unsent is dropped. */
  socketBacklogBytes: number;
  heartbeatMs: number;
  /** Between looks for a certificate that was renewed. */
  certificateMs: number;
}

export interface RequestRate {
  perSecond: number;
  /** At once, after a time of rest. */
  burst: number;
}

export type ApprovalMode = (typeof APPROVAL_MODES)[number];

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';
const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent'];

const DEFAULT_PORT = 7420;

export const DEFAULT_LIMITS: HubLimits = {
  jsonBodyBytes: 8 * 1024 * 1024,
  connections: 20_000,
  headersMs: 10_000,
  requestMs: 300_000,
  bodyIdleMs: 20_000,
  drainMs: 10_000,
  failedAuthPerMinute: 30,
  // Ten thousand machines behind one address that come back together stay below these.
  addressRequests: { perSecond: 5000, burst: 100_000 },
  machineRequests: { perSecond: 50, burst: 2000 },
  tokenRequests: { perSecond: 1000, burst: 20_000 },
  registrations: { perKey: 4, overall: 8, waitMs: 10_000 },
  socketPayloadBytes: 64 * 1024,
  socketBacklogBytes: 1024 * 1024,
  heartbeatMs: 30_000,
  certificateMs: 60_000,
};

/** What the command line may say; undefined falls through to the environment, the config file, the default. */
export interface HubFlags {
  host?: string;
  port?: string;
  dataDir?: string;
  databaseUrl?: string;
  tlsCert?: string;
  tlsKey?: string;
  behindProxy?: boolean;
  publicUrl?: string;
  /** `local`, or the address of a server. */
  chroma?: string;
  logLevel?: string;
}

/**
 * Flags before environment before config.json before defaults.
 * @throws HaiveError CONFIG_INVALID, TLS_REQUIRED
 */
export function readHubConfig(flags: HubFlags, env: NodeJS.ProcessEnv = process.env, cwd = process.cwd()): HubConfig {
  const home = resolve(cwd, env.HAIVEMIND_HOME || join(homedir(), '.haivemind'));
  const plugins = readPluginsBlock(join(home, 'config.json'));
  const host = flags.host ?? '127.0.0.1';
  const tls = tlsFiles(flags, cwd);
  const behindProxy = flags.behindProxy ?? false;
  if (!isLoopback(host) && tls === undefined && !behindProxy) {
    throw new HaiveError('TLS_REQUIRED', `${host} is not a loopback address, and no certificate was given`);
  }
  const logLevel = (flags.logLevel ?? (process.stderr.isTTY ? 'warn' : 'info')) as LogLevel;
  if (!LOG_LEVELS.includes(logLevel)) {
    throw new HaiveError('CONFIG_INVALID', `--log-level ${logLevel} is none of ${LOG_LEVELS.join(', ')}`);
  }
  return {
    host,
    port: portOf(flags.port ?? (env.HAIVEMIND_PORT || String(DEFAULT_PORT))),
    dataDir: resolve(
      cwd,
      flags.dataDir ?? (env.HAIVEMIND_DATA_DIR || dataDirOf(plugins.registry_db ?? 'data/plugins.db')),
    ),
    databaseUrl: flags.databaseUrl ?? (env.HAIVEMIND_DATABASE_URL || undefined),
    home,
    tls,
    behindProxy,
    publicUrl: flags.publicUrl === undefined ? undefined : publicAddress(flags.publicUrl),
    maxPluginSizeMb: plugins.max_plugin_size_mb ?? 50,
    findings: plugins.findings ?? {},
    allowedSourceHosts: plugins.allowed_source_hosts ?? [],
    approvals: plugins.approvals ?? 'widening',
    approvalGroups: plugins.approval_groups ?? [],
    ...chromaOf(flags, env),
    embeddings: embeddingsOf(env, cwd),
    planTtlMs: 7 * 24 * 3600_000,
    limits: limitsOf(plugins.limits ?? {}),
    logLevel,
  };
}

function limitsOf(given: NonNullable<HubPlugins['limits']>): HubLimits {
  const rate = (kind: 'address' | 'machine' | 'token', usual: RequestRate): RequestRate => ({
    perSecond: given[`${kind}_per_second`] ?? usual.perSecond,
    burst: given[`${kind}_burst`] ?? usual.burst,
  });
  const { addressRequests, machineRequests, tokenRequests, registrations } = DEFAULT_LIMITS;
  return {
    ...DEFAULT_LIMITS,
    failedAuthPerMinute: given.failed_logins_per_minute ?? DEFAULT_LIMITS.failedAuthPerMinute,
    addressRequests: rate('address', addressRequests),
    machineRequests: rate('machine', machineRequests),
    tokenRequests: rate('token', tokenRequests),
    registrations: {
      ...registrations,
      perKey: given.registrations_per_token ?? registrations.perKey,
      overall: given.registrations ?? registrations.overall,
    },
  };
}

function embeddingsOf(env: NodeJS.ProcessEnv, cwd: string): HubConfig['embeddings'] {
  const { HAIVEMIND_EMBEDDINGS_URL: url, HAIVEMIND_EMBEDDINGS_MODEL: model, HAIVEMIND_EMBEDDINGS_KEY: key } = env;
  const folder = env.HAIVEMIND_EMBEDDINGS_FOLDER;
  if (folder) {
    if (url || model) {
      throw new HaiveError(
        'CONFIG_INVALID',
        'HAIVEMIND_EMBEDDINGS_FOLDER stands instead of HAIVEMIND_EMBEDDINGS_URL and HAIVEMIND_EMBEDDINGS_MODEL, not beside them',
      );
    }
    const runtime = env.HAIVEMIND_ONNX_RUNTIME;
    return { folder: resolve(cwd, folder), runtime: runtime ? resolve(cwd, runtime) : undefined };
  }
  if (!url && !model) return undefined;
  if (!url || !model) {
    throw new HaiveError(
      'CONFIG_INVALID',
      'HAIVEMIND_EMBEDDINGS_URL and HAIVEMIND_EMBEDDINGS_MODEL must be given together',
    );
  }
  return { url: urlOf('address of the embedder', url), model, key: key || undefined };
}

function chromaOf(
  flags: HubFlags,
  env: NodeJS.ProcessEnv,
): Pick<HubConfig, 'chromaUrl' | 'localChroma' | 'chromaBinding'> {
  const said = flags.chroma ?? (env.HAIVEMIND_CHROMA_URL || undefined);
  if (said === undefined) return {};
  if (said !== 'local') return { chromaUrl: urlOf('Chroma address', said) };
  return { localChroma: true, chromaBinding: env.HAIVEMIND_CHROMA_BINDING || undefined };
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) {
    throw new HaiveError('CONFIG_INVALID', `The port ${text} is not a number from 0 to 65535`);
  }
  return port;
}

function urlOf(what: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new HaiveError('CONFIG_INVALID', `The ${what} ${text} is not an http or https URL`);
  }
  return url.href.replace(/\/$/, '');
}

/** What machines are told, so nothing that would keep a client from calling it. */
function publicAddress(text: string): string {
  const address = urlOf('public address', text);
  const { username, password, search, hash } = new URL(address);
  if (`${username}${password}${search}${hash}` === '') return address;
  throw new HaiveError('CONFIG_INVALID', 'The public address holds a user name, a password, a query or a fragment', {
    hint: 'Give --public-url as https://HOST[:PORT][/PATH]; machines show who they are with tokens.',
  });
}

function tlsFiles(flags: HubFlags, cwd: string): { cert: string; key: string } | undefined {
  if (flags.tlsCert === undefined && flags.tlsKey === undefined) return undefined;
  if (flags.tlsCert === undefined || flags.tlsKey === undefined) {
    throw new HaiveError('CONFIG_INVALID', '--tls-cert and --tls-key must be given together');
  }
  return { cert: resolve(cwd, flags.tlsCert), key: resolve(cwd, flags.tlsKey) };
}

function readPluginsBlock(file: string): HubPlugins {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return {};
    throw new HaiveError('CONFIG_INVALID', `${file} cannot be read`, { cause });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new HaiveError('CONFIG_INVALID', `${file} is not JSON`, { cause, hint: 'Mend the file by hand.' });
  }
  const parsed = z.object({ plugins: HubPlugins.optional() }).safeParse(value);
  if (parsed.success) return parsed.data.plugins ?? {};
  const issue = parsed.error.issues[0];
  throw new HaiveError('CONFIG_INVALID', `${file}: ${issue?.path.join('.')}: ${issue?.message}`);
}
