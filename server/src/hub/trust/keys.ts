import { openRotation, peekEpoch } from '../../domain/approval.ts';
import { HaiveError } from '../../domain/errors.ts';
import { type Envelope, keyIdOf } from '../../domain/signing/dsse.ts';
import { setMeta } from '../../storage/queries/meta.ts';
import { change } from '../change.ts';
import type { UseCase } from '../context.ts';

/** Keys of publishers: who used them, which one follows which, and which count no more. */
export const keys: UseCase<'keys'> = async (hub) => {
  const { read } = hub.store;
  const rows = await read.selectFrom('publisher_keys').selectAll().orderBy('first_seen').execute();
  const byKey = new Map<string, typeof rows>();
  for (const row of rows) byKey.set(row.keyid, [...(byKey.get(row.keyid) ?? []), row]);
  const statements = await read.selectFrom('key_statements').select('envelope').orderBy('keyid').execute();
  return {
    keys: [...byKey].map(([keyid, uses]) => ({
      keyid,
      public_key: uses[0]?.public_key ?? '',
      publishers: [...new Set(uses.map((u) => u.publisher))].sort(),
      first_seen: uses[0]?.first_seen ?? '',
      revoked_at: uses.find((u) => u.revoked_at !== null)?.revoked_at ?? null,
    })),
    rotations: statements.map((row) => JSON.parse(row.envelope) as Envelope),
  };
};

/**
 * Keeps the old key's statement; machines that pinned the old key follow it by themselves.
 * @throws HaiveError SIGNATURE_INVALID, KEY_NOT_FOUND, FORBIDDEN when the key was never used with this token
 */
export const rotateKey: UseCase<'rotateKey'> = async (hub, call) => {
  const { principal, body } = call;
  const rotation = openRotation(body.envelope, hub.identity.id, body.public_key);
  const from = keyIdOf(rotation.from);
  const to = keyIdOf(rotation.to);
  const { seq } = await change(hub, principal, async ({ tx, at }) => {
    const uses = await tx.selectFrom('publisher_keys').selectAll().where('keyid', '=', from).execute();
    if (uses.length === 0) throw new HaiveError('KEY_NOT_FOUND', `Nobody has published with the key ${from}`);
    if (uses.some((u) => u.revoked_at !== null)) {
      throw new HaiveError('SIGNATURE_INVALID', `The key ${from} is revoked; it names no other`);
    }
    const envelope = JSON.stringify(body.envelope);
    await tx
      .insertInto('key_statements')
      .values({ keyid: from, envelope, at })
      .onConflict((oc) => oc.column('keyid').doUpdateSet({ envelope, at }))
      .execute();
    return { result: undefined, trace: { type: 'key.rotated', target: from, data: { from, to, machine_ids: [] } } };
  });
  return { from, to, seq };
};

/** @throws HaiveError KEY_NOT_FOUND when nobody used it or it was revoked before */
export const revokeKey: UseCase<'revokeKey'> = async (hub, call) => {
  const keyid = call.params.keyid ?? '';
  const { seq } = await change(hub, call.principal, async ({ tx, at }) => {
    const done = await tx
      .updateTable('publisher_keys')
      .set({ revoked_at: at })
      .where('keyid', '=', keyid)
      .where('revoked_at', 'is', null)
      .executeTakeFirst();
    if (done.numUpdatedRows === 0n) throw new HaiveError('KEY_NOT_FOUND', `No valid key has the id ${keyid}`);
    return { result: undefined, trace: { type: 'key.revoked', target: keyid, data: { keyid } } };
  });
  return { keyid, seq };
};

/**
 * Begins a new epoch: machines accept a registry that is behind what they have seen only under a higher one.
 * @throws HaiveError BAD_REQUEST when it is not higher, SIGNATURE_INVALID when the envelope holds something else
 */
export const setEpoch: UseCase<'setEpoch'> = async (hub, call) => {
  const { epoch, envelope } = call.body;
  if (envelope !== undefined) peekEpoch(envelope, hub.identity.id, epoch);
  const { seq } = await change(hub, call.principal, async ({ tx }) => {
    const row = await tx.selectFrom('hub_meta').select('value').where('key', '=', 'epoch').executeTakeFirst();
    if (epoch <= Number(row?.value ?? 1)) {
      throw new HaiveError('BAD_REQUEST', `Field epoch: ${epoch} is not above ${row?.value ?? 1}`);
    }
    await setMeta(tx, 'epoch', String(epoch));
    await setMeta(tx, 'epoch_proof', envelope === undefined ? '' : JSON.stringify(envelope));
    return { result: undefined, trace: { type: 'hub.epoch', target: hub.identity.id, data: { epoch } } };
  });
  return { epoch, seq };
};
