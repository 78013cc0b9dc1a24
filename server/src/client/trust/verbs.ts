import { setTimeout as sleep } from 'node:timers/promises';
import type { Reply } from '../../contract/endpoints.ts';
import { signApproval, signEpoch, signRotation } from '../../domain/approval.ts';
import { HaiveError } from '../../domain/errors.ts';
import { parsePluginRef } from '../../domain/names.ts';
import { createKeyPair, keyIdOf, type PublicKey } from '../../domain/signing/dsse.ts';
import { noteChanges } from '../../machine/audit/log.ts';
import { recover } from '../../machine/change/transaction.ts';
import { writeAtomic } from '../../machine/files/atomic-file.ts';
import { withLock } from '../../machine/processes/lock.ts';
import { type PublisherKey, publisherKey, readPublisherKey } from '../../machine/publisher-key.ts';
import type { ClientContext } from '../context.ts';
import { ask } from '../hub/registry.ts';
import {
  operatorsOf,
  pin,
  pinnedKeys,
  readTrust,
  revokedKeysOf,
  type Trust,
  trustOf,
  updateTrust,
  withHub,
} from './publisher-keys.ts';

/** What operators and publishers do about trust, and what a machine's owner does here. */

const OPERATOR = (ctx: ClientContext) => ({
  ...ctx.machine,
  paths: { ...ctx.machine.paths, publisherKey: ctx.machine.paths.operatorKey },
});

const LOST =
  'Bring it back from a backup, or move it away: `hv trust operator-key` then makes another, which machines take after `hv trust operator KEY`.';

/** The operator's own key, made on this machine at first use; it never goes to the hub. @throws HaiveError CONFIG_INVALID */
export const operatorKey = (ctx: ClientContext): Promise<PublisherKey> => publisherKey(OPERATOR(ctx), LOST);

/** What a version can do, against another version (the one offered before it when absent). @throws HaiveError of the hub */
export async function showSurface(ctx: ClientContext, ref: string, against?: string): Promise<Reply<'surface'>> {
  const query = against === undefined ? {} : { against };
  return ask(ctx, 'reader', (hub) => hub.call('surface', { params: { id: ref }, query }));
}

/**
 * Approves the bytes that were looked at. Where this machine has an operator's key, the approval is signed with it.
 * @throws HaiveError of the hub (DIGEST_MISMATCH when the version is not what was looked at)
 */
export async function approvePlugin(
  ctx: ClientContext,
  ref: string,
  options: { digest?: string | undefined; urgent?: boolean } = {},
): Promise<Reply<'approve'> & { signed: boolean }> {
  return ask(ctx, 'operator', async (hub) => {
    const { id, name, version, digest } = await hub.call('surface', { params: { id: ref } });
    if (options.digest !== undefined && options.digest !== digest) {
      throw new HaiveError('DIGEST_MISMATCH', `${name}@${version} is ${digest}, not ${options.digest}`);
    }
    const key = await readPublisherKey(OPERATOR(ctx), LOST);
    if (options.urgent === true && key === null) {
      throw new HaiveError('USAGE', 'An urgent approval must be signed, and there is no operator key here', {
        hint: 'Make one with `hv trust operator-key`; machines learn it with `hv trust operator KEY`.',
      });
    }
    const at = ctx.clock().toISOString();
    const signed = async () => {
      const { hub: facts } = await hub.call('whoami');
      return signApproval(
        { hub: facts.id, name, version, digest, urgent: options.urgent === true, at },
        key?.privatePem ?? '',
      );
    };
    const body = { digest, ...(key === null ? {} : { envelope: await signed(), public_key: key.publicKey }) };
    return { ...(await hub.call('approve', { params: { id }, body })), signed: key !== null };
  });
}

/**
 * Takes a version back everywhere, and waits until those who had it confirm.
 * @param waitMs milliseconds, 0 not to wait
 * @throws HaiveError of the hub, USAGE when no exact version is named
 */
export async function revokePlugin(
  ctx: ClientContext,
  ref: string,
  reason: string,
  waitMs = 0,
): Promise<Reply<'revoke'>> {
  const { id, range } = parsePluginRef(ref);
  if (id === undefined && range === null) {
    throw new HaiveError('USAGE', 'Which version? Name it exactly', { hint: 'hv revoke NAME@VERSION --reason …' });
  }
  return ask(ctx, 'operator', async (hub) => {
    const revoked = await hub.call('revoke', { params: { id: ref }, body: { reason } });
    const until = performance.now() + waitMs;
    let { holders } = revoked;
    while (holders.some((h) => h.confirmed_at === null) && performance.now() < until) {
      await sleep(200);
      const now = await hub.call('revocations', { query: { plugin: revoked.id } });
      holders = now.revocations[0]?.holders ?? holders;
    }
    return { ...revoked, holders };
  });
}

/** Makes a new publisher's key, says so with the old one, and signs with the new one from now on. @throws HaiveError of the hub */
export async function rotatePublisherKey(ctx: ClientContext): Promise<{ from: string; to: string }> {
  const old = await readPublisherKey(ctx.machine);
  if (old === null) throw new HaiveError('KEY_NOT_FOUND', 'This machine has not published anything yet: it has no key');
  const next = createKeyPair();
  const { paths, port } = ctx.machine;
  await ask(ctx, 'author', async (hub) => {
    const { hub: facts } = await hub.call('whoami');
    const rotation = { hub: facts.id, from: old.publicKey, to: next.publicKey, at: ctx.clock().toISOString() };
    const body = { public_key: old.publicKey, envelope: signRotation(rotation, old.privatePem) };
    // Both keys lie here before the hub knows: an answer that is lost costs nothing.
    await writeAtomic(port, `${paths.publisherKey}.${old.keyid}`, old.privatePem, { mode: 0o600 });
    await hub.call('rotateKey', { body });
  });
  await writeAtomic(port, paths.publisherKey, next.privatePem, { mode: 0o600 });
  return { from: old.keyid, to: keyIdOf(next.publicKey) };
}

/** Begins a new epoch after the hub was restored, signed with the operator's key. @throws HaiveError of the hub */
export async function beginEpoch(ctx: ClientContext): Promise<Reply<'setEpoch'>> {
  const key = await operatorKey(ctx);
  return ask(ctx, 'operator', async (hub) => {
    const { hub: facts } = await hub.call('whoami');
    const epoch = facts.epoch + 1;
    return hub.call('setEpoch', { body: { epoch, envelope: signEpoch(facts.id, epoch, key.privatePem) } });
  });
}

function hubId(ctx: ClientContext): string {
  const id = ctx.config.hub?.id;
  if (id === undefined) throw new HaiveError('NOT_JOINED', 'This machine has not joined a hub');
  return id;
}

/** @param told what of it the history shows, before and after; the keys of the plugin `target` when absent */
async function changeTrust(
  ctx: ClientContext,
  target: string,
  change: (trust: Trust, hub: string) => Trust,
  told = (trust: Trust, hub: string): readonly string[] => pinnedKeys(trustOf(trust, hub), target),
): Promise<void> {
  const id = hubId(ctx);
  const { machine } = ctx;
  await withLock(machine, 'trust', async () => {
    await recover(machine);
    await updateTrust(machine, async (now) => {
      const next = change(now, id);
      const [before, after] = [told(now, id), told(next, id)];
      await noteChanges(machine, [{ what: 'trust', target, from: null, before, after, result: 'done' }]);
      return next;
    });
  });
}

const isPublicKey = (text: string): boolean => /^[A-Za-z0-9+/]{43}=$/.test(text);

/** Whose signatures count here: by plugin, and the operators; and ids of keys that sign nothing new. @throws HaiveError NOT_JOINED, CONFIG_INVALID */
export async function listTrust(ctx: ClientContext) {
  const here = trustOf(await readTrust(ctx.machine), hubId(ctx));
  return {
    plugins: here.plugins,
    operators: (here.operators ?? []).map((key) => ({ key, keyid: keyIdOf(key) })),
    revoked: [...(here.revoked_keys ?? [])],
  };
}

/**
 * Lets one more key sign a plugin here.
 * @param key a public key, or the id of one that the hub knows
 * @throws HaiveError KEY_NOT_FOUND, NOT_JOINED, and those of the hub
 */
export async function trustKey(ctx: ClientContext, plugin: string, key: string): Promise<string> {
  let publicKey: PublicKey = key;
  if (!isPublicKey(key)) {
    const { keys } = await ask(ctx, 'reader', (hub) => hub.call('keys'));
    const found = keys.find((k) => k.keyid === key);
    if (found === undefined) throw new HaiveError('KEY_NOT_FOUND', `The hub knows no key ${key}`);
    // The hub says what the bytes are; whether they have this id is ours to see.
    if (found.revoked_at !== null || keyIdOf(found.public_key) !== key) {
      throw new HaiveError('SIGNATURE_INVALID', `The key ${key} is revoked, or not the one it is called`);
    }
    publicKey = found.public_key;
  }
  await changeTrust(ctx, plugin, (trust, hub) => pin(trust, hub, plugin, publicKey, ctx.clock()));
  return keyIdOf(publicKey);
}

/** Forgets the keys of a plugin (the next one seen is pinned anew), or one of them. @throws HaiveError KEY_NOT_FOUND */
export async function forgetKey(ctx: ClientContext, plugin: string, keyid?: string): Promise<void> {
  await changeTrust(ctx, plugin, (trust, hub) => {
    const here = trustOf(trust, hub);
    const pinned = pinnedKeys(here, plugin);
    if (pinned.length === 0 || (keyid !== undefined && !pinned.includes(keyid))) {
      throw new HaiveError('KEY_NOT_FOUND', `${keyid ?? 'No key'} is pinned for ${plugin} here`);
    }
    const { [plugin]: _, ...rest } = here.plugins;
    const left = keyid === undefined ? [] : pinned.filter((k) => k !== keyid);
    return withHub(trust, hub, { ...here, plugins: left.length === 0 ? rest : { ...rest, [plugin]: left } });
  });
}

/** Takes an operator's public key for this hub, or lets it go. @throws HaiveError USAGE, NOT_JOINED */
export async function trustOperator(ctx: ClientContext, key: string, remove = false): Promise<string> {
  if (!isPublicKey(key))
    throw new HaiveError('USAGE', 'An operator key is 32 bytes in base64, as `hv trust operator-key` shows it');
  const change = (trust: Trust, hub: string): Trust => {
    const others = operatorsOf(trust, hub).filter((k) => k !== key);
    return withHub(trust, hub, { ...trustOf(trust, hub), operators: remove ? others : [...others, key] });
  };
  await changeTrust(ctx, 'operators', change, (trust, hub) => operatorsOf(trust, hub).map(keyIdOf));
  return keyIdOf(key);
}

/**
 * Forgets that a key was revoked, so that it may sign here again. A hub that says it still would only say it again.
 * @param agreed asked once it is known that it can be done
 * @throws HaiveError KEY_NOT_FOUND when no such key is remembered, SIGNATURE_INVALID when the hub has it revoked, CONFIRMATION_REQUIRED
 * when `agreed` says no, NOT_JOINED, and those of the hub
 */
export async function forgetRevokedKey(
  ctx: ClientContext,
  keyid: string,
  agreed: (keyid: string) => Promise<boolean>,
): Promise<void> {
  const known = (trust: Trust, hub: string): readonly string[] => {
    const all = revokedKeysOf(trust, hub);
    if (!all.includes(keyid)) throw new HaiveError('KEY_NOT_FOUND', `${keyid} is not remembered as revoked here`);
    return all;
  };
  known(await readTrust(ctx.machine), hubId(ctx));
  const { keys } = await ask(ctx, 'reader', (hub) => hub.call('keys'));
  if (keys.some((k) => k.keyid === keyid && k.revoked_at !== null)) {
    throw new HaiveError('SIGNATURE_INVALID', `The hub has ${keyid} revoked: it would be remembered again at once`, {
      hint: 'A revocation at the hub is for good: let its publisher sign with another key, and pin that one with `hv trust add PLUGIN KEY`.',
    });
  }
  if (!(await agreed(keyid))) {
    throw new HaiveError('CONFIRMATION_REQUIRED', `${keyid} stays revoked here`, { hint: 'Say so with --yes.' });
  }
  const forget = (trust: Trust, hub: string): Trust => {
    const revoked_keys = known(trust, hub).filter((k) => k !== keyid);
    return withHub(trust, hub, { ...trustOf(trust, hub), revoked_keys });
  };
  await changeTrust(ctx, 'revoked-keys', forget, revokedKeysOf);
}
