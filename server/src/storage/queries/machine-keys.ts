import type { Tx } from '../tables/index.ts';

/** The key that a machine registered; undefined for one that joined before machines had any. */
export async function machineKeyOf(tx: Tx, machineId: string): Promise<string | undefined> {
  const row = await tx
    .selectFrom('machine_keys')
    .select('public_key')
    .where('machine_id', '=', machineId)
    .executeTakeFirst();
  return row?.public_key;
}

/** Registers a machine's first key; one that is there stays. */
export async function putMachineKey(tx: Tx, machineId: string, publicKey: string, at: string): Promise<void> {
  await tx
    .insertInto('machine_keys')
    .values({ machine_id: machineId, public_key: publicKey, at })
    .onConflict((oc) => oc.column('machine_id').doNothing())
    .execute();
}

export async function dropMachineKey(tx: Tx, machineId: string): Promise<void> {
  await tx.deleteFrom('machine_keys').where('machine_id', '=', machineId).execute();
}
