import * as z from 'zod';
import { keyIdOf, type PublicKey } from '../domain/dsse.ts';
import { HaiveError } from '../domain/errors.ts';
import { writeAtomic } from '../machine/atomic-file.ts';
import { makeDirs, readFileOrNull, removeFile } from '../machine/file-port.ts';
import type { Machine } from '../machine/machine.ts';

/** ~/.haivemind/trust.json: which publisher's keys this machine accepts, hub by hub. The first key seen for a plugin is pinned. */
const TrustFile = z.object({
  format: z.literal(1),
  hubs: z.record(
    z.string(),
    z.object({
      publishers: z.record(z.string(), z.object({ key: z.string(), first_seen: z.string() })),
      /** Plugin name → key ids that may sign it. */
      plugins: z.record(z.string(), z.array(z.string())),
    }),
  ),
});
export type Trust = z.output<typeof TrustFile>;

/** @throws HaiveError CONFIG_INVALID when the file is not one of ours */
export async function readTrust(m: Machine): Promise<Trust> {
  const bytes = await readFileOrNull(m.paths.trust);
  if (bytes === null) return { format: 1, hubs: {} };
  try {
    return TrustFile.parse(JSON.parse(bytes.toString('utf8')));
  } catch (cause) {
    throw new HaiveError('CONFIG_INVALID', `${m.paths.trust} is not what this program wrote`, {
      cause,
      hint: 'Mend it, or delete it: the keys are then pinned anew.',
    });
  }
}

/** Writes the file with mode 0600; an empty trust leaves no file. */
export async function writeTrust(m: Machine, trust: Trust): Promise<void> {
  if (Object.keys(trust.hubs).length === 0) {
    await removeFile(m.port, m.paths.trust);
    return;
  }
  await makeDirs(m.port, m.paths.haivemindHome);
  await writeAtomic(m.port, m.paths.trust, `${JSON.stringify(trust, null, 2)}\n`, { mode: 0o600 });
}

/**
 * Decides whether a publisher's key may sign a plugin here, and pins it when it is the first. The hub's own key always may.
 * @returns the trust to keep, the same object when nothing was learned
 * @throws HaiveError SIGNATURE_INVALID when another key is pinned and this one is unknown at this hub
 */
export function admitKey(
  trust: Trust,
  hub: { id: string; public_key: PublicKey },
  plugin: string,
  key: PublicKey,
  now: Date,
): Trust {
  if (key === hub.public_key) return trust;
  const keyid = keyIdOf(key);
  const here = trust.hubs[hub.id] ?? { publishers: {}, plugins: {} };
  const pinned = Object.hasOwn(here.plugins, plugin) ? (here.plugins[plugin] ?? []) : [];
  if (pinned.includes(keyid)) return trust;
  const known = Object.hasOwn(here.publishers, keyid);
  if (pinned.length > 0 && !known) {
    throw new HaiveError(
      'SIGNATURE_INVALID',
      `${plugin} is signed by ${keyid}, but this machine knows it by ${pinned.join(', ')}`,
      { hint: 'If its publisher really changed, take the old key out of trust.json; if not, tell the operator.' },
    );
  }
  const publishers = known ? here.publishers : { ...here.publishers, [keyid]: { key, first_seen: now.toISOString() } };
  const plugins = { ...here.plugins, [plugin]: [...pinned, keyid] };
  return { ...trust, hubs: { ...trust.hubs, [hub.id]: { publishers, plugins } } };
}
