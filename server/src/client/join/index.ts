import { arch, hostname, platform, release } from 'node:os';
import { HAIVEMIND_VERSION } from '../../contract/version.ts';
import { HaiveError } from '../../domain/errors.ts';
import { CORE } from '../../domain/names.ts';
import { refuseForeignMarketplace } from '../../machine/claude/foreign-marketplace.ts';
import { parseSettings } from '../../machine/claude/settings-edit.ts';
import { updateConfig } from '../../machine/config-file.ts';
import { checkReplaceable } from '../../machine/files/atomic-file.ts';
import { makeDirs, readFileOrNull, removeEmptyDir, removeTree } from '../../machine/files/file-port.ts';
import { readText } from '../../machine/files/text-file.ts';
import { hostIdentity } from '../../machine/processes/host-identity.ts';
import { tryToAnnounce } from '../collective/announce.ts';
import { type ClientContext, hubAuthorities, proxiesOf, readHostToken, requireTls, sameHub } from '../context.ts';
import { connectHub, hubIsAway, hubUrl } from '../hub/hub-client.ts';
import { forgetMachineKey, machineKey, machineProof } from '../hub/machine-key.ts';
import { noteBefore } from '../local-audit.ts';
import { type SyncProgress, type SyncResult, syncMachine } from '../sync/index.ts';
import { fetchAuthority } from '../trust/pinned-authority.ts';

export interface JoinOptions {
  /** Hub's address; the one on this host when absent. */
  url?: string | undefined;
  /** A token that may join; HAIVEMIND_TOKEN or the one a hub on this host left when absent. */
  token?: string | undefined;
  /** This machine's name in the collective; its host name when absent. */
  name?: string | undefined;
  groups?: string[] | undefined;
  capabilities?: string[] | undefined;
  /** `sha256:…` of the authority that the hub's certificate must come from; trusted alone from then on. */
  caFingerprint?: string | undefined;
  /** What it is for: a word, and a sentence. */
  role?: string | undefined;
  about?: string | undefined;
  onProgress?: ((progress: SyncProgress) => void) | undefined;
}

export interface JoinResult {
  hub: { url: string; id: string; version: string };
  machine: { id: string; name: string; groups: string[]; capabilities: string[] };
  /** True when the machine was a member before and took its place again. */
  rejoined: boolean;
  /** Null when the first sync failed; `syncError` says why. */
  sync: SyncResult | null;
  syncError: HaiveError | null;
}

/** The name a machine gets when nobody gives one. */
function defaultMachineName(): string {
  const plain = (hostname().split('.')[0] ?? '').replace(/[^A-Za-z0-9._-]/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  return plain.slice(0, 63) || 'machine';
}

/**
 * Joins a hub: trades a token that may join for this machine's own, pins the hub's key, and installs haivemind-core and what the
 * policy allows. A machine that is a member of that hub already takes its place again.
 * @throws HaiveError TLS_REQUIRED, ALREADY_JOINED, NAME_TAKEN, UNAUTHENTICATED, TOKEN_INVALID, FORBIDDEN, SIGNATURE_INVALID, CERTIFICATE_MISMATCH, SETTINGS_INVALID, NAME_CLASH, READ_ONLY, HUB_UNREACHABLE …
 */
export async function joinHub(ctx: ClientContext, options: JoinOptions): Promise<JoinResult> {
  const host = await readHostToken(ctx);
  const address = options.url ?? ctx.env.hubUrl ?? ctx.config.hub_url ?? host?.url;
  if (address === undefined) {
    throw new HaiveError('HUB_NOT_CONFIGURED', 'Which hub? None is known here', {
      hint: 'Run `hv join URL --token T`.',
    });
  }
  const url = requireTls(ctx, hubUrl(address));
  const { config } = ctx;
  if (config.hub_url !== undefined && config.token !== undefined && !sameHub(config.hub_url, url)) {
    throw new HaiveError('ALREADY_JOINED', `This machine has joined ${config.hub_url}`);
  }
  const hostToken = host !== undefined && sameHub(host.url, url) ? host.token : undefined;
  const token = options.token ?? ctx.env.token ?? hostToken;
  if (token === undefined) {
    throw new HaiveError('UNAUTHENTICATED', 'Joining needs a token that may join', {
      hint: 'The hub prints the whole line at its start: `hv join URL --token T`.',
    });
  }
  await checkFiles(ctx);
  // What an earlier program, or a session of it, left here of another membership does not say of which.
  if (config.token === undefined) await removeTree(ctx.machine.port, ctx.machine.paths.usage);
  const pinned =
    options.caFingerprint === undefined ? undefined : await fetchAuthority(url, options.caFingerprint, proxiesOf(ctx));
  const hub = connectHub({
    url,
    token,
    ca: pinned ?? (await hubAuthorities(ctx)),
    proxies: proxiesOf(ctx),
    prove: machineProof(ctx),
  });
  try {
    const joined = await withOwnKey(ctx, (publicKey) =>
      hub.call('join', {
        body: {
          name: options.name ?? config.machine?.name ?? defaultMachineName(),
          platform: `${platform()} ${arch()} ${release()}`.slice(0, 64),
          haivemind_version: HAIVEMIND_VERSION,
          groups: options.groups ?? config.groups,
          capabilities: options.capabilities ?? config.capabilities,
          ...(config.token === undefined ? {} : { machine_token: config.token }),
          public_key: publicKey,
        },
      }),
    );
    const rejoined = config.machine?.id === joined.machine.id;
    if (rejoined && config.hub !== undefined && config.hub.public_key !== joined.hub.public_key) {
      throw new HaiveError('SIGNATURE_INVALID', `The hub at ${url} has another key than when this machine joined`, {
        hint: 'If it was really set up anew, run `hv leave` and join again.',
      });
    }
    const host = await hostIdentity();
    const { id, name, groups } = joined.machine;
    const before = config.machine === undefined ? null : { id: config.machine.id, name: config.machine.name };
    const after = { id, name, groups, hub: joined.hub.id };
    await noteBefore(ctx, [{ what: 'join', target: 'this machine', from: url, before, after }], { begins: true });
    ctx.config = await updateConfig(ctx.machine, (raw) => {
      raw.hub_url = url;
      if (pinned !== undefined) raw.hub_ca = pinned;
      raw.hub = { id: joined.hub.id, public_key: joined.hub.public_key, epoch: joined.hub.epoch };
      raw.machine = { id: joined.machine.id, name: joined.machine.name, ...(host === null ? {} : { host }) };
      raw.token = joined.token;
      raw.groups = joined.machine.groups;
      raw.capabilities = joined.machine.capabilities;
      if (options.role !== undefined) raw.role = options.role;
      if (options.about !== undefined) raw.about = options.about;
      if (!rejoined) delete raw.plan;
      return raw;
    });
    if (ctx.config.role !== undefined || ctx.config.about !== undefined) await tryToAnnounce(ctx);
    const first = await firstSync(ctx, options);
    return {
      hub: { url, id: joined.hub.id, version: joined.hub.version },
      machine: joined.machine,
      rejoined,
      ...first,
    };
  } finally {
    hub.close();
  }
}

/** Asks with the key that this machine will sign with; one that was made for a join that the hub refuses goes again. */
async function withOwnKey<T>({ machine }: ClientContext, join: (publicKey: string) => Promise<T>): Promise<T> {
  const there = (await readFileOrNull(machine.paths.machineKey)) !== null;
  const made = await makeDirs(machine.port, machine.paths.haivemindHome);
  const { publicKey } = await machineKey(machine);
  try {
    return await join(publicKey);
  } catch (error) {
    // Where nobody knows whether the hub took it, it stays.
    const refused = error instanceof HaiveError && (!hubIsAway(error) || neverReached(error));
    if (refused && !there) {
      await forgetMachineKey(machine);
      for (const dir of made.reverse()) await removeEmptyDir(machine.port, dir);
    }
    throw error;
  }
}

/** What cannot be written to later is better known before the hub hears of this machine. */
async function checkFiles(ctx: ClientContext): Promise<void> {
  const { config, receipts, settings, installedPlugins, claudeJson } = ctx.machine.paths;
  const native = ctx.config.plugins.layout === 'native';
  for (const path of [config, receipts, settings, native ? installedPlugins : claudeJson]) await checkReplaceable(path);
  const text = await readText(settings);
  if (text !== null) parseSettings(text, settings);
  if (native) await refuseForeignMarketplace(ctx.machine);
}

async function firstSync(
  ctx: ClientContext,
  options: JoinOptions,
): Promise<{ sync: SyncResult | null; syncError: HaiveError | null }> {
  try {
    const always = [CORE];
    const progress = options.onProgress === undefined ? {} : { onProgress: options.onProgress };
    const sync = await syncMachine(ctx, { mode: 'explicit', byPolicy: true, always, ...progress });
    return { sync, syncError: null };
  } catch (thrown) {
    // The machine is a member now whatever its first sync met; the next one goes on from here.
    if (thrown instanceof HaiveError) return { sync: null, syncError: thrown };
    throw thrown;
  }
}

/** No connection came about, so the hub has heard nothing. */
function neverReached({ cause }: HaiveError): boolean {
  const { code } = (cause ?? {}) as { code?: unknown };
  return ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'].includes(String(code));
}
