import semver from 'semver';
import * as z from 'zod';
import { openRotation } from '../../domain/approval.ts';
import { HaiveError } from '../../domain/errors.ts';
import { type Envelope, keyIdOf, type PublicKey } from '../../domain/signing/dsse.ts';
import { withHomeLock } from '../../machine/config-file.ts';
import { writeAtomic } from '../../machine/files/atomic-file.ts';
import { makeDirs, readFileOrNull, removeFile } from '../../machine/files/file-port.ts';
import type { Machine } from '../../machine/machine.ts';
import { jsonOf } from '../../machine/receipts/index.ts';

const TRUST_FORMAT = 1;

/** ~/.haivemind/trust.json: which publisher's keys this machine accepts, hub by hub. The first key seen for a plugin is pinned. */
const TrustFile = z.object({
  format: z.literal(TRUST_FORMAT),
  hubs: z.record(
    z.string(),
    z.object({
      publishers: z.record(z.string(), z.object({ key: z.string(), first_seen: z.string() })),
      /** Plugin name → key ids that may sign it. */
      plugins: z.record(z.string(), z.array(z.string())),
      /** Public keys of operators, whose signatures stand above the hub's word. */
      operators: z.array(z.string()).optional(),
      /** Ids of keys whose signatures count for nothing new. */
      revoked_keys: z.array(z.string()).optional(),
      /** Plugin name → the newest version that was let in; kept where a policy refuses older ones. */
      newest: z.record(z.string(), z.string()).optional(),
    }),
  ),
});
export type Trust = z.output<typeof TrustFile>;
type HubTrust = Trust['hubs'][string];

/** @throws HaiveError CONFIG_INVALID when the file is not one of ours, FORMAT_UNSUPPORTED when it is a newer program's */
export async function readTrust(m: Machine): Promise<Trust> {
  const bytes = await readFileOrNull(m.paths.trust);
  if (bytes === null) return { format: TRUST_FORMAT, hubs: {} };
  const value = jsonOf(bytes);
  const { format } = (value ?? {}) as { format?: unknown };
  // Its pins are worth keeping: nobody is told to delete it.
  if (typeof format === 'number' && format > TRUST_FORMAT)
    throw new HaiveError('FORMAT_UNSUPPORTED', `${m.paths.trust} has format ${format}, not ${TRUST_FORMAT}`);
  try {
    return TrustFile.parse(value);
  } catch (cause) {
    throw new HaiveError('CONFIG_INVALID', `${m.paths.trust} is not what this program wrote`, {
      cause,
      hint: 'Mend it, or delete it: the keys are then pinned anew.',
    });
  }
}

/**
 * Changes what is trusted, one process of this HOME after the other. Nothing is written where `change` gives back what it got.
 * @throws HaiveError CONFIG_INVALID, LOCKED, DISK_FULL, READ_ONLY, and whatever `change` throws
 */
export async function updateTrust(m: Machine, change: (now: Trust) => Trust | Promise<Trust>): Promise<void> {
  await withHomeLock(m, 'trust', async () => {
    const now = await readTrust(m);
    const next = await change(now);
    if (next !== now) await writeTrust(m, next);
  });
}

/** Writes the file with mode 0600; an empty trust leaves no file. */
async function writeTrust(m: Machine, trust: Trust): Promise<void> {
  if (Object.keys(trust.hubs).length === 0) {
    await removeFile(m.port, m.paths.trust);
    return;
  }
  await makeDirs(m.port, m.paths.haivemindHome);
  await writeAtomic(m.port, m.paths.trust, `${JSON.stringify(trust, null, 2)}\n`, { mode: 0o600 });
}

/** What is pinned for a hub. */
export function trustOf(trust: Trust, hubId: string): HubTrust {
  return trust.hubs[hubId] ?? { publishers: {}, plugins: {} };
}

export function withHub(trust: Trust, hubId: string, here: HubTrust): Trust {
  return { ...trust, hubs: { ...trust.hubs, [hubId]: here } };
}

/** Public keys of operators that this machine knows. */
export function operatorsOf(trust: Trust, hubId: string): readonly PublicKey[] {
  return trustOf(trust, hubId).operators ?? [];
}

/** The newest of these versions, and of those noted before, is noted for each plugin. */
export function noteNewest(trust: Trust, hubId: string, versions: readonly { name: string; version: string }[]): Trust {
  const here = trustOf(trust, hubId);
  const newest = new Map(Object.entries(here.newest ?? {}));
  for (const { name, version } of versions) newest.set(name, higher(newest.get(name), version));
  return withHub(trust, hubId, { ...here, newest: Object.fromEntries(newest) });
}

/** The newest version of a plugin that was let in, as far as it was noted, or the one that is here. */
export function newestOf(trust: Trust, hubId: string, name: string, here: string | undefined): string | undefined {
  const noted = trustOf(trust, hubId).newest ?? {};
  const before = Object.hasOwn(noted, name) ? noted[name] : undefined;
  return here === undefined ? before : higher(before, here);
}

const higher = (a: string | undefined, b: string): string => (a !== undefined && semver.gt(a, b) ? a : b);

/**
 * Keeps what a hub says of revoked keys, also for when it forgets. The lock must be held.
 * @throws HaiveError CONFIG_INVALID when trust.json is not one of ours
 */
export async function rememberRevokedKeys(m: Machine, hubId: string, said: readonly string[]): Promise<void> {
  if (said.length === 0) return;
  const fresh = (trust: Trust) => said.filter((keyid) => !revokedKeysOf(trust, hubId).includes(keyid));
  if (fresh(await readTrust(m)).length === 0) return;
  await updateTrust(m, (trust) => {
    const all = [...revokedKeysOf(trust, hubId), ...new Set(fresh(trust))];
    return withHub(trust, hubId, { ...trustOf(trust, hubId), revoked_keys: all });
  });
}

/** Ids of the keys that a hub ever said are revoked. */
export function revokedKeysOf(trust: Trust, hubId: string): readonly string[] {
  return trustOf(trust, hubId).revoked_keys ?? [];
}

/** Key ids that may sign a plugin here. */
export function pinnedKeys(here: HubTrust, plugin: string): readonly string[] {
  return Object.hasOwn(here.plugins, plugin) ? (here.plugins[plugin] ?? []) : [];
}

/**
 * Decides whether a key may sign a plugin here, and pins it when it is the first. The hub's own key may sign what no publisher
 * has signed before: a hub that was taken over must not speak for publishers.
 * @returns the trust to keep, the same object when nothing was learned
 * @throws HaiveError SIGNATURE_INVALID when another key is pinned
 */
export function admitKey(
  trust: Trust,
  hub: { id: string; public_key: PublicKey },
  plugin: string,
  key: PublicKey,
  now: Date,
): Trust {
  const keyid = keyIdOf(key);
  const here = trustOf(trust, hub.id);
  const pinned = pinnedKeys(here, plugin);
  if (pinned.includes(keyid)) return trust;
  if (pinned.length > 0) {
    throw new HaiveError(
      'SIGNATURE_INVALID',
      `${plugin} is signed by ${keyid}, but this machine knows it by ${pinned.join(', ')}`,
      {
        hint: `If its publisher really changed: \`hv trust add ${plugin} ${keyid}\`, then \`hv sync\`. If not, tell the operator. A publisher who changes keys with \`hv trust rotate\` is followed without that.`,
        details: { plugin, keyid, pinned: [...pinned] },
      },
    );
  }
  return keyid === keyIdOf(hub.public_key) ? trust : pin(trust, hub.id, plugin, key, now);
}

/** Lets one more key sign a plugin. */
export function pin(trust: Trust, hubId: string, plugin: string, key: PublicKey, now: Date): Trust {
  const keyid = keyIdOf(key);
  const here = trustOf(trust, hubId);
  const publishers = Object.hasOwn(here.publishers, keyid)
    ? here.publishers
    : { ...here.publishers, [keyid]: { key, first_seen: now.toISOString() } };
  const plugins = { ...here.plugins, [plugin]: [...new Set([...pinnedKeys(here, plugin), keyid])] };
  return withHub(trust, hubId, { ...here, publishers, plugins });
}

/** The pins that `next` has more than `before`, added to what stands there now. */
export function withPinsOf(now: Trust, before: Trust, next: Trust): Trust {
  let all = now;
  for (const [hubId, here] of Object.entries(next.hubs)) {
    for (const [plugin, keyids] of Object.entries(here.plugins)) {
      const known = pinnedKeys(trustOf(before, hubId), plugin);
      for (const publisher of keyids.filter((id) => !known.includes(id)).flatMap((id) => here.publishers[id] ?? []))
        all = pin(all, hubId, plugin, publisher.key, new Date(publisher.first_seen));
    }
  }
  return all;
}

/**
 * Whether the pinned keys of a plugin themselves name this key, in one step or several. Statements of revoked keys do not count.
 * @param statements what the hub keeps; each is checked with the key that it is said to come from
 */
export function followsRotation(
  trust: Trust,
  hubId: string,
  plugin: string,
  key: PublicKey,
  statements: readonly Envelope[],
): boolean {
  const here = trustOf(trust, hubId);
  const revoked = revokedKeysOf(trust, hubId);
  const reached = new Set(pinnedKeys(here, plugin).flatMap((id) => here.publishers[id]?.key ?? []));
  for (let grown = true; grown; ) {
    grown = false;
    for (const from of [...reached]) {
      if (revoked.includes(keyIdOf(from))) continue;
      for (const statement of statements) {
        const to = rotationFrom(statement, hubId, from);
        if (to === null || reached.has(to)) continue;
        reached.add(to);
        grown = true;
      }
    }
  }
  return reached.has(key);
}

function rotationFrom(statement: Envelope, hubId: string, from: PublicKey): PublicKey | null {
  try {
    return openRotation(statement, hubId, from).to;
  } catch {
    return null;
  }
}
