import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HaiveError } from '../domain/errors.ts';
import { isLoopback } from '../domain/loopback.ts';
import { type ProxySettings, withOwnProxy } from '../domain/proxy.ts';
import { type Config, readConfig } from '../machine/config-file.ts';
import { type FilePort, realFilePort } from '../machine/files/file-port.ts';
import { type Machine, openMachine } from '../machine/machine.ts';
import { machinePaths } from '../machine/paths.ts';
import { connectHub, type HubClient, hubUrl } from './hub/hub-client.ts';
import { machineProof } from './hub/machine-key.ts';
import { confiningOf } from './trust/confining.ts';

/** What the use cases need of the environment; interfaces/environment reads it. */
export interface ClientEnvironment {
  home: string;
  claudeConfigDir: string | undefined;
  haivemindHome: string | undefined;
  /** HAIVEMIND_HUB_URL: goes before the configuration. */
  hubUrl: string | undefined;
  /** HAIVEMIND_TOKEN: goes before every kept token. */
  token: string | undefined;
  /** HAIVEMIND_CA_FILE: PEM of an own certificate authority. */
  caFile: string | undefined;
  /** HTTPS_PROXY and the like; go before the configuration's. */
  proxies?: ProxySettings | undefined;
  path: string;
  /** Folder of the organisation's managed settings of Claude Code; the system's own where absent. */
  managedSettings?: string;
}

/** Everything a use case may touch. */
export interface ClientContext {
  env: ClientEnvironment;
  machine: Machine;
  config: Config;
  clock: () => Date;
  /** In [0, 1): spreads and backs off. */
  random: () => number;
}

export interface ClientOptions {
  clock?: () => Date;
  random?: () => number;
  port?: FilePort;
}

/**
 * Opens this machine for the use cases; touches the disk only to read the configuration.
 * @throws HaiveError CONFIG_INVALID
 */
export async function openClient(env: ClientEnvironment, options: ClientOptions = {}): Promise<ClientContext> {
  const clock = options.clock ?? (() => new Date());
  const port = options.port ?? realFilePort();
  const bare = openMachine({ paths: machinePaths(env), port, clock });
  const config = await readConfig(bare);
  const machine: Machine = openMachine({
    paths: machinePaths({ ...env, installPath: config.plugins.install_path }),
    port,
    clock,
    rehash: config.plugins.verify_checksums,
    backups: config.plugins.backup_before_update,
    nameClash: config.plugins.name_clash,
    confining: () => confiningOf(machine, env.path),
  });
  return { env, machine, config, clock, random: options.random ?? Math.random };
}

/** `machine`: speaks for this machine · `author`: publishes · `operator`: speaks for others · `reader`: any token will do. */
export type Purpose = 'machine' | 'author' | 'operator' | 'reader';

/**
 * The address of the hub: HAIVEMIND_HUB_URL, the joined hub, the hub logged in to, the hub on this host.
 * @throws HaiveError HUB_NOT_CONFIGURED, CONFIG_INVALID
 */
export async function hubAddress(ctx: ClientContext): Promise<string> {
  const url = ctx.env.hubUrl ?? ctx.config.hub_url ?? ctx.config.login?.url ?? (await readHostToken(ctx))?.url;
  if (url === undefined) throw new HaiveError('HUB_NOT_CONFIGURED', 'This machine knows no hub');
  return hubUrl(url);
}

/**
 * Connects to the hub with the token that fits the purpose.
 * `machine` is always its own token; for the others HAIVEMIND_TOKEN, then the login's, the host's and the machine's.
 * @param timeoutMs milliseconds without a sign of life
 * @throws HaiveError HUB_NOT_CONFIGURED, NOT_JOINED (machine), TLS_REQUIRED, CONFIG_INVALID
 */
export async function hubFor(ctx: ClientContext, purpose: Purpose, timeoutMs?: number): Promise<HubClient> {
  if (purpose === 'machine') {
    const { hub_url, token } = ctx.config;
    if (hub_url === undefined || token === undefined) {
      throw new HaiveError('NOT_JOINED', 'This machine has not joined a hub');
    }
    const ca = await hubAuthorities(ctx);
    const url = requireTls(ctx, hubUrl(ctx.env.hubUrl ?? hub_url));
    return connectHub({ url, token, timeoutMs, ca, proxies: proxiesOf(ctx), prove: machineProof(ctx) });
  }
  const url = requireTls(ctx, await hubAddress(ctx));
  const token = await tokenFor(ctx, url);
  const prove = token !== undefined && token === ctx.config.token ? machineProof(ctx) : undefined;
  return connectHub({ url, token, timeoutMs, ca: await hubAuthorities(ctx), proxies: proxiesOf(ctx), prove });
}

async function tokenFor(ctx: ClientContext, url: string): Promise<string | undefined> {
  if (ctx.env.token !== undefined) return ctx.env.token;
  const { login, hub_url, token } = ctx.config;
  if (login !== undefined && sameHub(login.url, url)) return login.token;
  const host = await readHostToken(ctx);
  if (host !== undefined && sameHub(host.url, url)) return host.token;
  // A machine that was pointed elsewhere by HAIVEMIND_HUB_URL must not hand its token to a stranger.
  return hub_url !== undefined && sameHub(hub_url, url) ? token : undefined;
}

/**
 * No token and no answer goes over a network in the clear, unless this machine's owner said that the network itself is encrypted.
 * @param url as `hubUrl` returns it
 * @throws HaiveError TLS_REQUIRED
 */
export function requireTls({ config }: Pick<ClientContext, 'config'>, url: string): string {
  const { protocol, hostname } = new URL(url);
  if (protocol === 'https:' || isLoopback(hostname) || config.plain_http === true) return url;
  throw new HaiveError('TLS_REQUIRED', `${url} is another host, and what is said to it would not be encrypted`, {
    hint: 'Use its https:// address; where the network itself encrypts: hv config set plain_http true',
  });
}

/** Whether two addresses name one hub; loopback has several names. */
export function sameHub(a: string, b: string): boolean {
  const plain = (text: string): string => {
    try {
      return hubUrl(text).replace(/^(https?:\/\/)(localhost|127\.0\.0\.1|\[::1\])(?=[:/]|$)/, '$1loopback');
    } catch {
      return text;
    }
  };
  return plain(a) === plain(b);
}

/** `{url, token}` that a hub on this host left for tools beside it; undefined when there is none or it is unreadable. */
export async function readHostToken(ctx: ClientContext): Promise<{ url: string; token: string } | undefined> {
  try {
    const value = JSON.parse(await readFile(join(ctx.machine.paths.haivemindHome, 'hub.json'), 'utf8'));
    return typeof value.url === 'string' && typeof value.token === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The authorities that a hub's certificate may come from: the one pinned at join, and HAIVEMIND_CA_FILE's. @throws HaiveError CONFIG_INVALID */
export async function hubAuthorities(ctx: ClientContext): Promise<string | undefined> {
  const all = [ctx.config.hub_ca, await readCa(ctx)].filter((pem) => pem !== undefined);
  return all.length === 0 ? undefined : all.join('\n');
}

/** The proxies that this machine's calls go through. */
export function proxiesOf({ env, config }: Pick<ClientContext, 'env' | 'config'>): ProxySettings | undefined {
  return withOwnProxy(env.proxies, { proxy: config.proxy, no_proxy: config.no_proxy });
}

/** @throws HaiveError CONFIG_INVALID when HAIVEMIND_CA_FILE cannot be read */
export async function readCa(ctx: ClientContext): Promise<string | undefined> {
  if (ctx.env.caFile === undefined) return undefined;
  try {
    return await readFile(ctx.env.caFile, 'utf8');
  } catch (cause) {
    throw new HaiveError('CONFIG_INVALID', `HAIVEMIND_CA_FILE names ${ctx.env.caFile}, which cannot be read`, {
      cause,
    });
  }
}
