import { signProof } from '../../domain/signing/machine-proof.ts';
import { removeEmptyDir, removeFile } from '../../machine/files/file-port.ts';
import type { Machine } from '../../machine/machine.ts';
import { type PublisherKey, publisherKey, readPublisherKey } from '../../machine/publisher-key.ts';
import type { ClientContext } from '../context.ts';
import type { Prove } from './hub-client.ts';

const own = (m: Machine): Machine => ({ ...m, paths: { ...m.paths, publisherKey: m.paths.machineKey } });

const LOST =
  'Bring it back from a backup. Otherwise move it away, let an operator run `hv machines remove` for this machine, and join again: the hub takes no other key from a machine that it knows.';

/** This machine's own key, made at join (mode 0600); the hub knows its public half. @throws HaiveError CONFIG_INVALID, DISK_FULL, READ_ONLY */
export const machineKey = (m: Machine): Promise<PublisherKey> => publisherKey(own(m), LOST);

/** Signs with the key where there is one; a machine that joined before machines had keys has none until it joins again. */
export function machineProof({ machine, clock }: Pick<ClientContext, 'machine' | 'clock'>): Prove {
  let key: Promise<PublisherKey | null> | undefined;
  return async (question, at) => {
    key ??= readPublisherKey(own(machine), LOST);
    const found = await key;
    return found === null ? undefined : signProof(found.privatePem, question, at ?? clock());
  };
}

/** The machine has left: its key is good for nothing more. */
export async function forgetMachineKey(m: Machine): Promise<void> {
  await removeFile(m.port, m.paths.machineKey);
  await removeEmptyDir(m.port, m.paths.keys);
}
