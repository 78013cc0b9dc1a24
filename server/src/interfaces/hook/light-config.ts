import { readFileSync, statSync } from 'node:fs';
import { type ProxySettings, withOwnProxy } from '../../domain/proxy.ts';
import { type MachinePaths, machinePaths } from '../../machine/paths.ts';
import type { Environment } from '../environment.ts';
import type { HookOutput } from './output.ts';

/** What the hook must know before it asks the hub, read without the schemas (they would cost more than the question). */
export interface LightConfig {
  paths: MachinePaths;
  hubUrl: string | undefined;
  token: string | undefined;
  hubCa: string | undefined;
  proxies: ProxySettings | undefined;
  /** Etag of the plan that was last followed. */
  etag: string | undefined;
  wanted: boolean;
  /** A token may be shown to a hub on another host without TLS. */
  plainHttp: boolean;
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
const object = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

/** @throws SyntaxError when the configuration is not JSON; a missing one is empty. */
export function readLightConfig(env: Environment): LightConfig {
  const bare = machinePaths(env);
  const config = object(readJson(bare.config) ?? {});
  const plugins = object(config.plugins);
  const installPath = text(plugins.install_path);
  return {
    paths: installPath === undefined ? bare : machinePaths({ ...env, installPath }),
    hubUrl: text(config.hub_url),
    token: text(config.token),
    hubCa: text(config.hub_ca),
    proxies: withOwnProxy(env.proxies, { proxy: text(config.proxy), no_proxy: text(config.no_proxy) }),
    etag: text(object(config.plan).etag),
    wanted: plugins.enabled !== false && plugins.auto_sync !== false,
    plainHttp: config.plain_http === true,
  };
}

/** What the last full sync of a session left: as long as nothing moved since, the next session need not sync. */
export interface SeenState {
  etag: string;
  /** ISO-8601: when the plan ends, that the hub must have signed anew by then. */
  until: string;
  /** Fingerprint of what is installed. */
  receipts: string;
  /** What to say at every start while this holds (updates that wait). */
  output: HookOutput | null;
}

/** Changes whenever receipts.json was written; empty when there is none. */
export function receiptsFingerprint(paths: MachinePaths): string {
  const stat = statSync(paths.receipts, { throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.ino}-${stat.size}-${stat.mtimeMs}`;
}

/** The seen state, or null when something moved since, or a run left work behind. */
export function readSeenState(config: LightConfig): SeenState | null {
  try {
    const state = object(readJson(config.paths.seen)) as unknown as SeenState;
    const holds =
      config.etag !== undefined &&
      state.etag === config.etag &&
      Date.parse(state.until) > Date.now() &&
      state.receipts === receiptsFingerprint(config.paths) &&
      statSync(config.paths.journal, { throwIfNoEntry: false }) === undefined &&
      !coreHasTwoOwners(config.paths);
    return holds ? state : null;
  } catch {
    return null;
  }
}

/** Etag of the inbox as it was kept last; one that fits no state where none was. */
export function inboxEtag(paths: MachinePaths): string {
  try {
    const revision = readFileSync(paths.inboxRevision, 'utf8').trim();
    return /^[0-9]+$/.test(revision) ? `"inbox-${revision}"` : '"inbox-none"';
  } catch {
    return '"inbox-none"';
  }
}

/** Somebody enabled the stock client's core beside the collective's: a full sync hands it over again. */
function coreHasTwoOwners(paths: MachinePaths): boolean {
  const enabled = object(object(readJson(paths.settings)).enabledPlugins);
  return enabled['haivemind-core@collective'] === true && enabled['haivemind-core@haivemind'] === true;
}

function readJson(path: string): unknown {
  let bytes: string;
  try {
    bytes = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return JSON.parse(bytes.replace(/^\uFEFF/, ''));
}
