import { HaiveError } from '../domain/errors.ts';
import { signProof } from '../domain/machine-proof.ts';
import { removeEmptyDir, removeFile } from '../machine/file-port.ts';
import type { Machine } from '../machine/machine.ts';
import { type PublisherKey, publisherKey, readPublisherKey } from '../machine/publisher-key.ts';
import type { ClientContext } from './context.ts';
import type { Prove } from './hub-client.ts';

const own = (m: Machine): Machine => ({ ...m, paths: { ...m.paths, publisherKey: m.paths.machineKey } });

/** This machine's own key, made at join (mode 0600); the hub knows its public half. @throws HaiveError CONFIG_INVALID, DISK_FULL, READ_ONLY */
export const machineKey = (m: Machine): Promise<PublisherKey> => publisherKey(own(m));

/** How far ahead of this machine's clock the hub's may be, milliseconds: who answers for the hub could keep what is signed for later. */
const MAX_AHEAD_MS = 24 * 3600_000;

/**
 * Signs with the key where there is one; a machine that joined before machines had keys has none until it joins again. What it gives
 * throws HaiveError PROOF_INVALID for a time that is far ahead; one that is past is good for nobody, and signed.
 */
export function machineProof({ machine, clock }: Pick<ClientContext, 'machine' | 'clock'>): Prove {
  let key: Promise<PublisherKey | null> | undefined;
  return async (question, at) => {
    key ??= readPublisherKey(own(machine));
    const found = await key;
    if (found === null) return undefined;
    const now = clock();
    if (at !== undefined && at.getTime() > now.getTime() + MAX_AHEAD_MS) throw farAhead(at, now);
    return signProof(found.privatePem, question, at ?? now);
  };
}

const farAhead = (at: Date, now: Date): HaiveError =>
  new HaiveError(
    'PROOF_INVALID',
    `What answers for the hub says that it is ${at.toISOString()}, and this machine's clock ${now.toISOString()}: nothing is signed for a time so far ahead`,
    { hint: 'Set the clock of this machine (or of the hub).' },
  );

/** The machine has left: its key is good for nothing more. */
export async function forgetMachineKey(m: Machine): Promise<void> {
  await removeFile(m.port, m.paths.machineKey);
  await removeEmptyDir(m.port, m.paths.keys);
}
