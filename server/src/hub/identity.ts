import { HAIVEMIND_VERSION } from '../contract/version.ts';
import { createKeyPair, publicKeyOf } from '../domain/signing/dsse.ts';
import { getMeta, setMetaOnce } from '../storage/queries/meta.ts';
import type { Store } from '../storage/store.ts';
import type { HubContext, HubIdentity } from './context.ts';
import { newId } from './secrets.ts';

/** This hub's id, key and epoch, made at the first start of its database; every process on it has the same. */
export async function loadIdentity(store: Store): Promise<HubIdentity> {
  return store.transact(async (tx) => {
    const id = await setMetaOnce(tx, 'hub_id', newId('hub'));
    const privatePem = await setMetaOnce(tx, 'hub_key', createKeyPair().privatePem);
    const epoch = Number(await setMetaOnce(tx, 'epoch', '1'));
    return { id, privatePem, publicKey: publicKeyOf(privatePem), epoch };
  });
}

/** What a client may know of this hub. */
export async function hubFacts(hub: Pick<HubContext, 'identity' | 'store'>) {
  const { id, publicKey } = hub.identity;
  // An operator may have begun a new one since this process started.
  const epoch = Number((await getMeta(hub.store.read, 'epoch')) ?? 1);
  return { id, public_key: publicKey, epoch, version: HAIVEMIND_VERSION };
}
